#!/usr/bin/env bash
# The check of the Grafana dashboard: bash deploy/grafana/test.sh
# Needs Go and cargo. Decodes the dashboard by Grafana's types, and asks a real Prometheus, which scrapes two deployments, for every
# panel. AUDIT_RELAY names the relay to run (target/debug/audit-relay). UPDATE_PICTURES=1 also draws docs/pictures/dashboard.png,
# which takes minutes, and needs Python and what the broker tests need.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null

dashboard=deploy/grafana/audit-relay.json
tools=$PWD/target/tools/grafana
out=$PWD/target/grafana
# Everything that is started ends by itself after this time.
seconds_max=900
# Until every panel has an answer.
answer_seconds=120

say() { printf '\n==> %s\n' "$*"; }
fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT

# start NAME COMMAND...
start() {
    : >"$out/$1.log"
    timeout --kill-after=20 "$seconds_max" "${@:2}" >"$out/$1.log" 2>&1 &
    pids+=("$!")
}

# await NAME EXPRESSION: prints what sed's expression finds in the log of a process.
await() {
    local found deadline=$((SECONDS + 60))
    until found=$(sed -n "$2" "$out/$1.log" | head -1) && [[ -n "$found" ]]; do
        ((SECONDS < deadline)) || fail "$1: $(tail -5 "$out/$1.log")"
        sleep 0.1
    done
    printf '%s\n' "$found"
}

# A relay of a second group on the demo's broker. Its principals are those of the demo; its devices come from a topic.
start_second() {
    cat >"$out/second.toml" <<TOML
instance = "second"
workers = 1
[kafka]
"bootstrap.servers" = "$broker"
[input]
group = "second"
[principals]
file = "$out/principals.jsonl"
[devices]
topic = "infrastructure.devices"
[admin]
listen = "127.0.0.1:0"
TOML
    start second "$relay" run --config "$out/second.toml"
}

# planted NAME WORDS SED COMMAND...: the command must fail by these words on the dashboard that sed has changed.
planted() {
    local copy=$out/$1.json answer
    sed "$3" "$dashboard" >"$copy"
    if cmp --quiet "$dashboard" "$copy"; then fail "$1: nothing was planted"; fi
    if answer=$("$tools/bin/check" "$4" "$copy" "${@:5}" 2>&1); then fail "the planted fault was not noticed: $1"; fi
    [[ "$answer" == *"$2"* ]] || fail "the planted fault $1 was noticed by other words: $answer"
}

command -v go >/dev/null 2>&1 || fail "missing: go"
rm -rf "$out" && mkdir -p "$tools/bin" "$out"
(cd deploy/grafana/check && go build -mod=readonly -o "$tools/bin/check" .)
# shellcheck source=.ci/promtool
source .ci/promtool
need_prometheus
relay=${AUDIT_RELAY:-target/debug/audit-relay}
[[ -n "${AUDIT_RELAY:-}" ]] || cargo build --locked --quiet --bin audit-relay

say "Grafana's types"
"$tools/bin/check" strict "$dashboard"
planted misspelt-field legendFromat s/legendFormat/legendFromat/ strict
planted misspelt-option colourMode s/colorMode/colourMode/ strict
planted misspelt-unit unti s/\"unit\"/\"unti\"/ strict
planted misspelt-style lineWdth s/lineWidth/lineWdth/ strict

say "two deployments, and a Prometheus"
for user in 6100101 6100102 6100103; do
    printf '{"accountId":307608,"userId":%d,"iamId":"IBMid-%d","linked":true,"permissions":["REMOTE_MANAGEMENT","PORT_CONTROL"],"validFrom":"2020-01-01T00:00:00Z"}\n' "$user" "$user"
done >"$out/principals.jsonl"
start demo "$relay" demo --keep --listen 127.0.0.1:0
broker=$(await demo 's/^broker *//p')
first=$(await demo 's#^status *http://\(.*\)/$#\1#p')
"$tools/bin/check" topic "$broker" infrastructure.devices
start_second
second=$(await second 's/.*"admin":"\([^"]*\)".*/\1/p')
cat >"$out/prometheus.yml" <<YAML
global: {scrape_interval: 2s}
scrape_configs:
  - job_name: audit-relay
    static_configs:
      - targets: ["$first", "$second"]
    # The relays of the picture.
    file_sd_configs: [{files: ["$out/targets.json"]}]
YAML
start prometheus prometheus --config.file="$out/prometheus.yml" --storage.tsdb.path="$out/prometheus" --web.listen-address=127.0.0.1:0
prometheus=$(await prometheus 's/.*msg="Listening on" address=\(127.*\)/\1/p')

say "every panel"
deployments=("audit-relay=$first" "second=$second")
"$tools/bin/check" answers "$dashboard" "$prometheus" "$answer_seconds" "${deployments[@]}"

say "planted faults"
planted renamed-metric 'panel "Audit events by region per second", group audit-relay: no data' \
    s/audit_relay_events_total/audit_relay_event_total/ answers "$prometheus" 5 "${deployments[@]}"
planted every-group 'panel "Relays that answer": shows' \
    '0,/ and on (job, instance) audit_relay_input_info{[^}]*}/s///' answers "$prometheus" 5 "${deployments[@]}"
planted wrong-label 'a series has no label regoin' 's/{{region}}/{{regoin}}/' answers "$prometheus" 5 "${deployments[@]}"

if [[ "${UPDATE_PICTURES:-}" == 1 ]]; then
    say "the picture"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet matplotlib==3.10.8
    cat >"$out/draw" <<DRAW
#!/bin/sh
exec "$tools/python/bin/python" deploy/grafana/picture.py "$dashboard" "$prometheus" "\$1" 150 docs/pictures/dashboard.png
DRAW
    chmod +x "$out/draw"
    drawn=$(AUDIT_RELAY_TEST_TARGETS=$out/targets.json AUDIT_RELAY_TEST_DRAW=$out/draw cargo test --locked --test broker -- --ignored \
        --exact picture::a_relay_hangs_and_another_takes_over 2>&1) || fail "$drawn"
    [[ "$drawn" == *"1 passed"* ]] || fail "the load was not run: $drawn"
fi
say "the dashboard is as it should be"
