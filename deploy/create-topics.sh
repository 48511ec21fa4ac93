#!/bin/sh
# Creates the topics that audit-relay reads and writes, with the command line tools of Apache Kafka.
# A topic that exists is left as it is: the partition count of a topic in use is nothing for a script to change.
#
# Usage: BOOTSTRAP_SERVERS=host:port [REPLICATION_FACTOR=3] [KAFKA_BIN=/opt/kafka/bin] create-topics.sh
set -eu

: "${BOOTSTRAP_SERVERS:?host:port of a broker}"
: "${REPLICATION_FACTOR:=3}"
: "${KAFKA_BIN:=/opt/kafka/bin}"

DAY_MS=86400000

# What is acknowledged survives the loss of a broker, and one broker may be away. With fewer than three replicas that cannot be had.
DURABLE=""
if [ "$REPLICATION_FACTOR" -ge 3 ]; then
    DURABLE="--config min.insync.replicas=2"
fi

# create NAME PARTITIONS [KEY=VALUE ...]
create() {
    name=$1
    partitions=$2
    shift 2
    configs=$DURABLE
    for config in "$@"; do
        configs="$configs --config $config"
    done
    # shellcheck disable=SC2086 # one word for each option, and no value holds a space
    "$KAFKA_BIN/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --create --if-not-exists \
        --topic "$name" --partitions "$partitions" --replication-factor "$REPLICATION_FACTOR" $configs
}

# Twelve partitions: the upper limit for workers that share the input.
create infrastructure.state-changes 12 retention.ms=$((7 * DAY_MS))

# The reference tables, for `topic = ...` of [principals] and [devices]; with files they stay empty. Superseded versions stay for
# tables.history_hours (7 days) and removals for twice that, so that a relay that has just started decides like one that has followed
# the topic. The broker's clock counts, not that of whoever writes.
for table in principals devices; do
    create "infrastructure.$table" 3 cleanup.policy=compact min.compaction.lag.ms=$((7 * DAY_MS)) \
        delete.retention.ms=$((14 * DAY_MS)) message.timestamp.type=LogAppendTime
done

# A divisor of 12. The relay writes to the input partition modulo these, which spreads evenly only then, and keeps the
# order per device in any case. 30 days are how long a reader may be away; the archive is the reader's.
for region in us-south us-east eu-gb eu-de au-syd jp-tok; do
    create "audit.events.$region" 6 retention.ms=$((30 * DAY_MS))
done

# A quarantined record is the original key, value and headers, and a few headers more. The input holds batches of
# max.message.bytes = 1 MiB by default, which unpack to more where they were compressed: what does not fit here before it is
# compressed is written as a stub, and its original is in the input alone. Kept long enough for somebody to look at it.
create audit.quarantine 6 retention.ms=$((30 * DAY_MS)) max.message.bytes=8388608
