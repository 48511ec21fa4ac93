package streams;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.StreamPartitioner;
import org.apache.kafka.streams.processor.TopicNameExtractor;

/**
 * The relay's main job as a Kafka Streams program, tuned as an experienced engineer would tune it.
 *
 * <p>What it does: it reads the input exactly once ({@code exactly_once_v2}), parses every record's
 * JSON to its end with a streaming parser, decides by the four fields that the relay decides by
 * whether the record is skipped, and writes an event for each audited record and the original of
 * each malformed one: to the same topic and partition, with the same key, timestamp and headers,
 * and as many bytes as the relay.
 *
 * <p>What it does not do: it checks no other field, looks up no principal, computes no event id and
 * composes no event. The length and the topic of an event come from the plan that the benchmark
 * wrote for the raw copy, and its bytes from real events in that plan. It has no metrics of its own
 * and no handling of failures beyond what Kafka Streams has. So it does less than the relay.
 */
public final class Main {
    private static final Duration CLOSE_MAX = Duration.ofSeconds(10);

    private Main() {}

    /** Runs until the process is terminated. The argument is the path of a properties file. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Properties settings = new Properties();
        try (var reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        KafkaStreams streams = new KafkaStreams(topology(settings), configuration(settings));
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(CLOSE_MAX)));
        streams.start();
        new CountDownLatch(1).await();
    }

    private static Topology topology(Properties settings) throws IOException {
        Plan plan = Plan.read(Path.of(settings.getProperty("plan")));
        List<String> outputs = List.of(settings.getProperty("outputs").split(","));
        TopicNameExtractor<byte[], Output> topic = (key, output, context) -> outputs.get(output.topic);
        return new Topology()
                .addSource(
                        "input",
                        new ByteArrayDeserializer(),
                        new ByteArrayDeserializer(),
                        settings.getProperty("topic"))
                .addProcessor("relay", () -> new RelayProcessor(plan, settings), "input")
                .addSink(
                        "outputs",
                        topic,
                        new ByteArraySerializer(),
                        (Serializer<Output>) (name, output) -> output.bytes(),
                        new SamePartition(),
                        "relay");
    }

    /** Where the relay has a setting for the same thing, its value; else what helps throughput. */
    private static Properties configuration(Properties settings) {
        Properties kafka = new Properties();
        kafka.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.get("bootstrap.servers"));
        kafka.put(StreamsConfig.APPLICATION_ID_CONFIG, settings.get("group"));
        kafka.put(StreamsConfig.CLIENT_ID_CONFIG, settings.get("instance"));
        kafka.put(StreamsConfig.STATE_DIR_CONFIG, settings.get("state.dir"));
        kafka.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        kafka.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, settings.get("workers"));
        kafka.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, settings.get("commit.interval.ms"));
        kafka.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        // With 12 partitions about as many records wait as in the relay's queue.
        kafka.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 2_000);
        consumer(kafka, ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        consumer(kafka, ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        consumer(kafka, ConsumerConfig.FETCH_MAX_BYTES_CONFIG, 8_388_608);
        consumer(kafka, ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 100);
        // The system chooses the sizes of the sockets' buffers, as it does for librdkafka.
        consumer(kafka, ConsumerConfig.RECEIVE_BUFFER_CONFIG, -1);
        producer(kafka, ProducerConfig.SEND_BUFFER_CONFIG, -1);
        producer(kafka, ProducerConfig.LINGER_MS_CONFIG, 5);
        producer(kafka, ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        producer(kafka, ProducerConfig.BATCH_SIZE_CONFIG, 1_000_000);
        producer(kafka, ProducerConfig.BUFFER_MEMORY_CONFIG, 67_108_864);
        producer(kafka, ProducerConfig.MAX_REQUEST_SIZE_CONFIG, 104_857_600);
        producer(kafka, ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, 10_000);
        return kafka;
    }

    private static void consumer(Properties kafka, String name, Object value) {
        kafka.put(StreamsConfig.mainConsumerPrefix(name), value);
    }

    private static void producer(Properties kafka, String name, Object value) {
        kafka.put(StreamsConfig.producerPrefix(name), value);
    }

    /** Sends a record to the partition that its input record came from, modulo their number. */
    private static final class SamePartition implements StreamPartitioner<byte[], Output> {
        private static final int PARTITIONS_MAX = 1_000;

        /** One answer for each partition, made once instead of for each record. */
        private final List<Optional<Set<Integer>>> answers = new ArrayList<>();

        SamePartition() {
            for (int partition = 0; partition < PARTITIONS_MAX; partition++) {
                answers.add(Optional.of(Set.of(partition)));
            }
        }

        @Override
        public Optional<Set<Integer>> partitions(
                String topic, byte[] key, Output output, int partitions) {
            return answers.get(output.sourcePartition % partitions);
        }
    }
}
