#!/bin/sh
# What audit-relay needs on the cluster, as `audit-relay manifest` printed it for its configuration.
set -eu

BOOTSTRAP_SERVERS=${BOOTSTRAP_SERVERS:-'kafka:19092'}
KAFKA_BIN=${KAFKA_BIN:-/opt/kafka/bin}
# A properties file with how the tools log in.
COMMAND_CONFIG=${COMMAND_CONFIG:-/dev/null}

# A topic that exists is left as it is.
topic() {
    "$KAFKA_BIN/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --command-config "$COMMAND_CONFIG" \
        --create --if-not-exists --topic "$@"
}

topic infrastructure.state-changes --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=604800000
topic audit.events.au-syd --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.events.eu-de --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.events.eu-gb --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.events.jp-tok --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.events.us-east --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.events.us-south --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=1048588 --config retention.ms=2592000000
topic audit.quarantine --partitions 6 --replication-factor 1 --config cleanup.policy=delete --config max.message.bytes=8388608 --config retention.ms=2592000000
