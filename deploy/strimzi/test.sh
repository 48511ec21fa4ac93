#!/usr/bin/env bash
# The resources that `audit-relay manifest --format strimzi` prints are those of Strimzi's operator: bash deploy/strimzi/test.sh
# Needs Java and Maven, which fetches the operator's classes. AUDIT_RELAY names the relay (target/debug/audit-relay).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null

out=$PWD/target/strimzi
classes=$out/class-path
fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

mkdir -p "$out"
# Newer than what it is made from: else Maven is asked.
[[ "$classes" -nt deploy/strimzi/pom.xml ]] ||
    mvn --quiet --batch-mode --file deploy/strimzi/pom.xml dependency:build-classpath "-Dmdep.outputFile=$classes"
relay=${AUDIT_RELAY:-target/debug/audit-relay}
[[ -n "${AUDIT_RELAY:-}" ]] || cargo build --locked --quiet --bin audit-relay

check() { java -XX:TieredStopAtLevel=1 -cp "$(<"$classes")" deploy/strimzi/Check.java "$@" 2>&1; }

# With tables from files, and from topics, which the relay may read.
"$relay" manifest --config deploy/relay.toml --format strimzi >"$out/files.yaml"
sed 's#^file = "/etc/audit-relay/\(.*\)\.jsonl"#topic = "infrastructure.\1"#' deploy/relay.toml >"$out/topics.toml"
"$relay" manifest --config "$out/topics.toml" --format strimzi >"$out/topics.yaml"
cmp --quiet "$out/files.yaml" "$out/topics.yaml" && fail "tables from topics change nothing"
counts=$(check "$out/files.yaml" "$out/topics.yaml") || fail "$counts"
[[ "$counts" == *"{KafkaTopic=18, KafkaUser=2}" ]] || fail "other resources than expected: $counts"

# planted COMMAND WORDS: a fault that sed makes is found, by these words.
planted() {
    local answer
    sed "$1" "$out/topics.yaml" >"$out/planted.yaml"
    cmp --quiet "$out/topics.yaml" "$out/planted.yaml" && fail "$1 plants nothing"
    if answer=$(check "$out/planted.yaml"); then fail "the planted fault was not found: $1"; fi
    [[ "$answer" == *"$2"* ]] || fail "the planted fault $1 was found by other words: $answer"
}
planted 's/topicName:/topic_name:/' 'unknown: [topic_name]'
planted 's/patternType:/pattern:/' 'unknown: [pattern]'
planted 's/partitions: 12/partitions: twelve/' 'twelve'
planted 's#kafka.strimzi.io/v1$#kafka.strimzi.io/v0#' 'another apiVersion'
echo "the resources are those of the operator"
