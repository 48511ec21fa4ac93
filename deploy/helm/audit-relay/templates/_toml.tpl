{{- /*
relay.toml. Helm's toToml is not used: it gives what JSON and YAML made of the values, and there every number is a
floating-point one (50000.0, or 1e+06), which the relay refuses where it expects a whole number.
*/ -}}

{{- /* The configuration with what the chart sets, as JSON. Fails for what must be left to it. */ -}}
{{- define "audit-relay.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if hasKey $config "instance" -}}
{{- fail "config.instance must be left out: all pods read one relay.toml, and the instance of each is its own name" -}}
{{- end -}}
{{- if hasKey $config "admin" -}}
{{- fail "config.admin must be left out: the chart sets admin.listen; see the value admin" -}}
{{- end -}}
{{- $_ := set $config "admin" (dict "listen" (printf "%s:%d" .Values.admin.address (int .Values.admin.port))) -}}
{{- range $name, $from := .Values.tables -}}
{{- if $from -}}
{{- $section := default dict (get $config $name) -}}
{{- range list "file" "topic" -}}
{{- if hasKey $section . -}}
{{- fail (printf "tables.%s and config.%s.%s: a table has one source; remove one of the two" $name $name .) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $config $name (dict "file" (printf "/tables/%s/%s" $name $from.key)) -}}
{{- end -}}
{{- end -}}
{{- range list "principals" "devices" -}}
{{- $section := default dict (get $config .) -}}
{{- if and (hasKey $section "file") (hasKey $section "topic") -}}
{{- fail (printf "config.%s.file and config.%s.topic: a table has one source; remove one of the two" . .) -}}
{{- end -}}
{{- end -}}
{{- $principals := default dict $config.principals -}}
{{- if not (or $principals.file $principals.topic) -}}
{{- fail "principals are required: set tables.principals, config.principals.topic or config.principals.file" -}}
{{- end -}}
{{- $config | toJson -}}
{{- end }}

{{- define "audit-relay.relayToml" -}}
{{- include "audit-relay.toml.table" (dict "path" "" "table" (include "audit-relay.config" . | fromJson)) -}}
{{- end }}

{{- /* Values first, then the tables below it: a key behind a table's head would belong to that table. */ -}}
{{- define "audit-relay.toml.table" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (include "audit-relay.toml.isTable" (list $path $value)) -}}
{{- include "audit-relay.toml.key" $key }} = {{ include "audit-relay.toml.value" $value }}
{{ end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if include "audit-relay.toml.isTable" (list $path $value) -}}
{{- $head := include "audit-relay.toml.key" $key -}}
{{- $head = ternary (printf "%s.%s" $path $head) $head (ne $path "") }}
[{{ $head }}]
{{ include "audit-relay.toml.table" (dict "path" $head "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Whether a value below a path gets a head of its own: sections do, and in them all but {file: ..} and {env: ..}. */ -}}
{{- define "audit-relay.toml.isTable" -}}
{{- $path := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "map" $value -}}
{{- if or (eq $path "") (not (has (keys $value | join ",") (list "file" "env"))) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "audit-relay.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ include "audit-relay.toml.string" . }}{{- end -}}
{{- end }}

{{- /* JSON's escapes are TOML's, but JSON leaves DEL as it is. */ -}}
{{- define "audit-relay.toml.string" -}}
{{- . | toRawJson | replace "\x7f" "\\u007f" -}}
{{- end }}

{{- define "audit-relay.toml.value" -}}
{{- if kindIs "string" . -}}
{{- include "audit-relay.toml.string" . -}}
{{- else if kindIs "slice" . -}}
{{- $entries := list -}}
{{- range . -}}{{- $entries = append $entries (include "audit-relay.toml.value" .) -}}{{- end -}}
[{{ join ", " $entries }}]
{{- else if kindIs "map" . -}}
{{- $entries := list -}}
{{- range $key, $value := . -}}
{{- $entries = append $entries (printf "%s = %s" (include "audit-relay.toml.key" $key) (include "audit-relay.toml.value" $value)) -}}
{{- end -}}
{ {{ join ", " $entries }} }
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else if kindIs "invalid" . -}}
{{- fail "config: a key without a value; remove it" -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end }}
