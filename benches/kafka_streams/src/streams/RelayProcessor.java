package streams;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** Decides what becomes of each record, and forwards an event or the quarantined record. */
final class RelayProcessor implements Processor<byte[], byte[], byte[], Output> {
    private static final String[] HEADERS = {"type", "account", "region", "location", "id"};
    private static final JsonFactory JSON = new JsonFactory();

    /** What becomes of a record. */
    private enum Fate {
        AUDITED,
        SKIPPED,
        MALFORMED
    }

    private final Plan plan;
    private final boolean hasHeaders;
    private final Set<String> listedEvents;
    private final String inputTopic;
    private final String version;
    private final Output output = new Output();
    private ProcessorContext<byte[], Output> context;

    /** Positions in the bodies and the header sets of the plan, by output topic. */
    private final int[] nextBody;

    private int nextHeaders;

    RelayProcessor(Plan plan, Properties settings) {
        this.plan = plan;
        this.hasHeaders = Boolean.parseBoolean(settings.getProperty("headers"));
        this.listedEvents = Set.of(settings.getProperty("listed").split(","));
        this.inputTopic = settings.getProperty("topic");
        this.version = settings.getProperty("version");
        this.nextBody = new int[plan.headers.length];
    }

    @Override
    public void init(ProcessorContext<byte[], Output> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        RecordMetadata place = context.recordMetadata().orElseThrow();
        int number = plan.number(place.partition(), place.offset());
        Fate fate = fate(record.value());
        if (fate != expected(number)) {
            throw new IllegalStateException(place + " is " + fate + ", which is not the plan");
        }
        if (fate == Fate.SKIPPED) {
            return;
        }
        output.sourcePartition = place.partition();
        Headers headers = fate == Fate.AUDITED ? event(number) : quarantined(number, record, place);
        context.forward(new Record<>(record.key(), output, record.timestamp(), headers));
    }

    private Fate expected(int number) {
        int topic = Plan.topic(number);
        if (topic < 0) {
            return Fate.SKIPPED;
        }
        return topic == plan.quarantine() ? Fate.MALFORMED : Fate.AUDITED;
    }

    /** Reads the whole record, and decides by four of its fields. */
    private Fate fate(byte[] value) {
        String objectName = null;
        String eventName = null;
        String eventKey = null;
        String userType = null;
        try (JsonParser parser = JSON.createParser(value)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return Fate.MALFORMED;
            }
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                parser.nextToken();
                switch (name) {
                    case "objectName" -> objectName = parser.getText();
                    case "eventName" -> eventName = parser.getText();
                    case "eventKey" -> eventKey = parser.getText();
                    case "userType" -> userType = parser.getText();
                    default -> parser.skipChildren();
                }
            }
            if (parser.nextToken() != null) {
                return Fate.MALFORMED;
            }
        } catch (JsonProcessingException error) {
            return Fate.MALFORMED;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        String event = eventName == null ? eventKey : eventName;
        if (objectName == null || event == null) {
            return Fate.MALFORMED;
        }
        boolean isListed = objectName.equals("Server") && listedEvents.contains(event);
        return isListed && "CUSTOMER".equals(userType) ? Fate.AUDITED : Fate.SKIPPED;
    }

    /** Takes the bytes of the next event from the plan, and returns its headers. */
    private Headers event(int number) {
        int topic = Plan.topic(number);
        int length = Plan.length(number);
        if (nextBody[topic] + length > plan.bodies.length) {
            nextBody[topic] = 0;
        }
        output.topic = topic;
        output.source = plan.bodies;
        output.begin = nextBody[topic];
        output.length = length;
        nextBody[topic] += length;
        RecordHeaders headers = new RecordHeaders();
        if (hasHeaders) {
            String[][] sets = plan.headers[topic];
            String[] values = sets[++nextHeaders % sets.length];
            for (int header = 0; header < HEADERS.length; header++) {
                add(headers, HEADERS[header], values[header]);
            }
        }
        return headers;
    }

    /** Takes the original record, and returns the headers that the relay gives it. */
    private Headers quarantined(int number, Record<byte[], byte[]> record, RecordMetadata place) {
        output.topic = plan.quarantine();
        output.source = record.value();
        output.begin = 0;
        output.length = record.value().length;
        String detail = new String(plan.bodies, 0, Plan.length(number), StandardCharsets.UTF_8);
        RecordHeaders headers = new RecordHeaders();
        add(headers, "audit-relay-reason", "malformed");
        add(headers, "audit-relay-detail", detail);
        add(headers, "audit-relay-topic", inputTopic);
        add(headers, "audit-relay-partition", Integer.toString(place.partition()));
        add(headers, "audit-relay-offset", Long.toString(place.offset()));
        add(headers, "audit-relay-version", version);
        add(headers, "audit-relay-stub", "false");
        return headers;
    }

    private static void add(RecordHeaders headers, String name, String value) {
        headers.add(name, value.getBytes(StandardCharsets.UTF_8));
    }
}
