package streams;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The plan of the raw copy: for each input record the topic and the length of its output, and bytes
 * and headers of real events. {@code benches/end_to_end/plan.rs} writes the file.
 */
final class Plan {
    private static final int LENGTH_BITS = 24;
    private static final int LENGTH_MASK = (1 << LENGTH_BITS) - 1;

    /** Bytes of real events, one after the other. */
    final byte[] bodies;

    /** Values of the five headers: by topic, then in rotation. */
    final String[][][] headers;

    /** One number for each record: by input partition, then by offset. */
    private final int[][] numbers;

    private Plan(byte[] bodies, String[][][] headers, int[][] numbers) {
        this.bodies = bodies;
        this.headers = headers;
        this.numbers = numbers;
    }

    /** Reads a file. */
    static Plan read(Path path) throws IOException {
        ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] text = new byte[Math.toIntExact(file.getLong())];
        file.get(text);
        ObjectMapper mapper = new ObjectMapper();
        JsonNode head = mapper.readTree(text);
        byte[] bodies = new byte[head.get("body_bytes").intValue()];
        file.get(bodies);
        int[] records = mapper.treeToValue(head.get("records"), int[].class);
        int[][] numbers = new int[records.length][];
        for (int partition = 0; partition < records.length; partition++) {
            numbers[partition] = new int[records[partition]];
            for (int offset = 0; offset < records[partition]; offset++) {
                numbers[partition][offset] = file.getInt();
            }
        }
        String[][][] headers = mapper.treeToValue(head.get("headers"), String[][][].class);
        return new Plan(bodies, headers, numbers);
    }

    /** Returns a record's number, for the methods below. */
    int number(int partition, long offset) {
        return numbers[partition][Math.toIntExact(offset)];
    }

    /** Returns the position of the output topic; -1 if nothing is written. */
    static int topic(int number) {
        return (number >>> LENGTH_BITS) - 1;
    }

    /** Returns the length of the event, or of the detail of a quarantined record. */
    static int length(int number) {
        return number & LENGTH_MASK;
    }

    /** Returns the position of the quarantine topic: behind those of the regions. */
    int quarantine() {
        return headers.length;
    }
}
