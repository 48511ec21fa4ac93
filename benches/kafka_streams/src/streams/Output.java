package streams;

import java.util.Arrays;

/**
 * The value of an output record, with what decides where it goes. One object serves all records of
 * a task: Kafka Streams serializes a record before it returns from {@code forward}.
 */
final class Output {
    /** Position of the topic among the outputs. */
    int topic;

    /** Partition of the input record. */
    int sourcePartition;

    /** Holds the content from {@code begin} on. */
    byte[] source;

    int begin;
    int length;

    /** Returns a copy of the content, which the producer needs as an array of its own. */
    byte[] bytes() {
        return Arrays.copyOfRange(source, begin, begin + length);
    }
}
