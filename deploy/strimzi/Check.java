import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import io.strimzi.api.kafka.model.user.KafkaUser;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reads resources with the classes of Strimzi's operator. These keep what they do not know instead of refusing it; here it
 * is a fault. Arguments: files of resources. Prints how many there are of each kind.
 */
public final class Check {
    private static final ObjectMapper MAPPER =
            new ObjectMapper(new YAMLFactory()).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    private static final Map<String, Class<?>> KINDS = Map.of("KafkaTopic", KafkaTopic.class, "KafkaUser", KafkaUser.class);

    private Check() {}

    /** Entry point. */
    public static void main(String[] files) throws Exception {
        Map<String, Integer> counts = new TreeMap<>();
        for (String file : files) {
            try (MappingIterator<JsonNode> documents = MAPPER.readerFor(JsonNode.class).readValues(Path.of(file).toFile())) {
                while (documents.hasNext()) {
                    JsonNode document = documents.next();
                    counts.merge(check(file, document), 1, Integer::sum);
                }
            }
        }
        System.out.println(counts);
    }

    private static String check(String file, JsonNode document) throws Exception {
        String kind = document.path("kind").asText();
        String place = file + ": " + kind + " " + document.path("metadata").path("name").asText();
        Class<?> type = KINDS.get(kind);
        if (type == null) {
            throw new IOException(place + ": not a kind of Strimzi's");
        }
        if (!"kafka.strimzi.io/v1".equals(document.path("apiVersion").asText())) {
            throw new IOException(place + ": another apiVersion: " + document.path("apiVersion"));
        }
        refuseUnknown(place, MAPPER.treeToValue(document, type));
        return kind;
    }

    /** Looks into every object of Strimzi's model for properties that it did not know. */
    private static void refuseUnknown(String place, Object value) throws Exception {
        if (value instanceof Collection<?> list) {
            for (Object entry : list) {
                refuseUnknown(place, entry);
            }
        }
        if (value == null || !value.getClass().getName().startsWith("io.strimzi.") || value instanceof Enum<?>) {
            return;
        }
        for (Method method : value.getClass().getMethods()) {
            if (method.getParameterCount() > 0 || !method.getName().startsWith("get") || method.getName().equals("getClass")) {
                continue;
            }
            Object part = method.invoke(value);
            if (!method.getName().equals("getAdditionalProperties")) {
                refuseUnknown(place + "." + method.getName().substring(3), part);
            } else if (part instanceof Map<?, ?> unknown && !unknown.isEmpty()) {
                throw new IOException(place + ": unknown: " + unknown.keySet());
            }
        }
    }
}
