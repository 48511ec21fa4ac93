#!/usr/bin/env bash
# The check of the Helm chart: bash deploy/helm/test.sh
# Needs Go, pip, cargo, Java and Maven (or KAFKA_HOME), and root, for the test that lives with the rendered security context. Tools and
# schemas are fetched into target/tools once. AUDIT_RELAY names the relay to check configurations with (target/debug/audit-relay).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null

chart=deploy/helm/audit-relay
tools=$PWD/target/tools/helm
out=$PWD/target/helm
keda_version=v2.21.0
keda_sum=h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=
kubernetes=(1.31.0 1.34.0 1.37.0)

say() { printf '\n==> %s\n' "$*"; }
fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

# Tools, each in its version.
fetch() {
    mkdir -p "$tools/bin" "$out"
    for needed in go pip; do
        command -v "$needed" >/dev/null 2>&1 || fail "missing: $needed"
    done
    install_go helm helm.sh/helm/v3/cmd/helm v3.22.0
    install_go kubeconform github.com/yannh/kubeconform/cmd/kubeconform v0.8.0
    (cd deploy/helm/check && go build -mod=readonly -o "$tools/bin/check" .)
    if ! [[ -d "$tools/kubernetes/v${kubernetes[-1]}" ]]; then
        say "fetching the schemas of Kubernetes"
        pip download --quiet --no-deps --dest "$tools/wheels" kubernetes-validate==1.37.0
        "$tools/bin/check" kubernetes "$tools"/wheels/kubernetes_validate-1.37.0-*.whl "$tools/kubernetes" "${kubernetes[@]}"
    fi
    fetch_keda
    # shellcheck source=.ci/promtool
    source .ci/promtool
    need_promtool
    relay=${AUDIT_RELAY:-target/debug/audit-relay}
    [[ -n "${AUDIT_RELAY:-}" ]] || cargo build --locked --quiet --bin audit-relay
}

# install_go NAME PACKAGE VERSION
install_go() {
    if [[ -x "$tools/bin/$1" && "$(go version -m "$tools/bin/$1")" == *$'\tmod\t'*$'\t'"$3"$'\t'* ]]; then return; fi
    say "building $1 $3"
    GOBIN="$tools/bin" go install "$2@$3"
}

# Its source has the definition of a ScaledObject and the parameters of its scalers. It is not built.
fetch_keda() {
    local module
    module=$(go mod download -json "github.com/kedacore/keda/v2@$keda_version")
    [[ "$module" == *"\"Sum\": \"$keda_sum\""* ]] || fail "KEDA $keda_version is not what it was: $module"
    keda=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$module")
    "$tools/bin/check" crd "$keda/config/crd/bases/keda.sh_scaledobjects.yaml" "$tools/scaledobject.json"
}

# Without the lines about the symbolic links to the alert rules and the dashboard.
helm() {
    { "$tools/bin/helm" "$@" 2>&1 >&3 | { grep -v 'found symbolic link in path' >&2 || true; }; } 3>&1
}

# Every file of values: lint, render, and check what was rendered.
render() { # CHART OUT
    local values name
    rm -rf "$2" && mkdir -p "$2"
    for values in "$1"/ci/*.yaml; do
        name=$(basename "$values" .yaml)
        mkdir "$2/$name"
        helm lint --strict --quiet --kube-version "${kubernetes[0]}" --values "$values" "$1"
        helm template relay "$1" --kube-version "${kubernetes[0]}" --values "$values" >"$2/$name/manifests.yaml"
        "$tools/bin/check" manifests "$values" "$2/$name/manifests.yaml" "$keda" "$2/$name" || fail "$values"
    done
}

# Against the schemas of Kubernetes and KEDA, unknown fields refused. The Prometheus operator's types were decoded by `check`.
validate() { # OUT
    local version
    for version in "${kubernetes[@]}"; do
        "$tools/bin/kubeconform" -strict -summary -kubernetes-version "$version" -skip PodMonitor,PrometheusRule \
            -schema-location "$tools/kubernetes/{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json" \
            -schema-location "$tools/{{.ResourceKind}}.json" "$1"/*/manifests.yaml
    done
}

# The relay itself accepts every rendered configuration, with tables and certificates in the place of mounted ones.
check_configurations() { # OUT
    local folder variables
    for folder in "$1"/*/; do
        mapfile -t variables <"$folder/environment"
        sed "s#\"/tables/[a-z]*/#\"$PWD/deploy/#; s#\"/own/#\"$PWD/deploy/#" "$folder/relay.toml" >"$folder/checked.toml"
        env -i "${variables[@]}" "$relay" check --config "$folder/checked.toml" >"$folder/check.log" 2>&1 ||
            { cat "$folder/check.log" >&2 && fail "$folder/relay.toml"; }
    done
}

# Every bad file of values is refused, by the words in its first line.
refuse() { # CHART
    local values words answer
    for values in "$1"/ci/bad/*.yaml; do
        words=$(sed -n '1s/^# refused: //p' "$values")
        [[ -n "$words" ]] || fail "$values does not say why it is refused"
        if answer=$(helm template relay "$1" --kube-version "${kubernetes[0]}" --values "$values" 2>&1); then
            fail "$values was not refused"
        fi
        [[ "$answer" == *"$words"* ]] || fail "$values: refused for another reason: $answer"
    done
}

# What the relay keeps secret (src/config/properties.rs) is refused in plain text, in each table of properties.
refuse_secrets() { # CHART
    local name names answer table value='https://relay:secret@id.example.com/?key=secret'
    names=$(sed -n '/^const SECRETS:/,/^\];/p; /^const SECRET_PARTS:/p' src/config/properties.rs | sed 's#//.*##' | grep -o '"[^"]*"' | tr -d '"')
    (($(wc -w <<<"$names") > 10)) || fail "the names of secrets are not where they were: $names"
    for name in $names; do
        local key=${name//./\\.}
        if answer=$(helm template relay "$1" --kube-version "${kubernetes[0]}" --values "$1/ci/minimal.yaml" \
            --set-string "config.kafka.$key=$value,config.kafka.consumer.$key=$value,config.kafka.producer.$key=$value" 2>&1); then
            fail "a plain $name was not refused"
        fi
        for table in '' consumer/ producer/; do
            [[ "$answer" == *"at '/config/kafka/$table$name'"* ]] || fail "a plain $name in kafka/$table is not refused: $answer"
        done
    done
}

# The values that the documentation shows are accepted, on top of the least.
check_shown() {
    local page=docs/operating/kubernetes.md count=0 values
    rm -rf "$out/shown" && mkdir -p "$out/shown"
    awk -v folder="$out/shown" '/^ *```yaml$/ { n++; file = folder "/" n ".yaml"; next } /^ *```$/ { file = "" } file { print > file }' "$page"
    for values in "$out"/shown/*.yaml; do
        count=$((count + 1))
        helm template relay "$chart" --kube-version "${kubernetes[0]}" --values "$chart/ci/minimal.yaml" --values "$values" >/dev/null ||
            fail "$page: the values of block $count are refused"
    done
    ((count >= 3)) || fail "$page shows only $count blocks of values"
}

# planted NAME STAGE WORDS FILE COMMAND: the stage must fail by these words once sed's command has changed a file of the chart.
planted() {
    local copy=$out/planted/$1 answer
    rm -rf "$copy" && mkdir -p "$out/planted"
    cp -RL "$chart" "$copy"
    sed -i "$5" "$copy/$4"
    if cmp --quiet "$chart/$4" "$copy/$4"; then fail "$1: nothing was planted"; fi
    if answer=$(bash deploy/helm/test.sh "$2" "$copy" 2>&1); then fail "the planted fault was not noticed: $1"; fi
    [[ "$answer" == *"$3"* ]] || fail "the planted fault $1 was noticed by other words: $answer"
}

fetch
case "${1:-}" in
# One stage on another chart: planted faults.
rendered)
    render "$2" "$out/stage"
    validate "$out/stage"
    exit
    ;;
refused)
    refuse "$2"
    exit
    ;;
'') ;;
*) fail "unknown stage $1" ;;
esac

say "lint, render, check"
render "$chart" "$out/rendered"
say "schemas of Kubernetes and KEDA"
validate "$out/rendered"
say "audit-relay check"
check_configurations "$out/rendered"
say "bad values"
refuse "$chart"
refuse_secrets "$chart"
say "shown values"
check_shown
say "alert rules"
"$tools/bin/check" rules deploy/alerts.yml "$out/rendered/everything/alerts.yml"
promtool check rules "$out/rendered/everything/alerts.yml"
say "dashboard"
# Without the last line break.
cmp deploy/grafana/audit-relay.json <(cat "$out/rendered/everything/dashboard.json" && echo) || fail "the rendered dashboard"
say "planted faults"
planted no-run-as-non-root rendered 'runAsNonRoot is not set' values.yaml '/runAsNonRoot: true/d'
planted no-sidecar-label rendered "not the label of Grafana's sidecar" templates/dashboard.yaml '/grafanaDashboard.labels/d'
planted misspelt-field rendered 'unknown field "enableServiceLink"' templates/statefulset.yaml s/enableServiceLinks:/enableServiceLink:/
planted misspelt-keda rendered "additional properties 'pollInterval' not allowed" templates/scaledobject.yaml s/pollingInterval:/pollInterval:/
planted workers-0 refused 'workers-0.yaml was not refused' values.schema.json '/"workers"/s/"minimum": 1/"minimum": 0/'
say "the rendered security context, lived with"
# The name of a test that is not there would pass as well.
lived=$(AUDIT_RELAY_TEST_CHART=$out/rendered/files cargo test --locked --test broker -- --ignored --exact \
    chart::the_relay_lives_with_the_security_context_of_the_chart 2>&1) || fail "$lived"
[[ "$lived" == *"1 passed"* ]] || fail "the test was not run: $lived"
say "the chart is as it should be"
