{{- define "audit-relay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- /* At most 52 characters: the pods' labels and host names append to it. */ -}}
{{- define "audit-relay.fullname" -}}
{{- $name := include "audit-relay.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "audit-relay.selectorLabels" -}}
app.kubernetes.io/name: {{ include "audit-relay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "audit-relay.labels" -}}
{{ include "audit-relay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "audit-relay.serviceAccount" -}}
{{- $default := ternary (include "audit-relay.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end }}

{{- define "audit-relay.image" -}}
{{- with .Values.image -}}
{{- if not .repository -}}
{{- fail "image.repository is required: no image is published; build one with the Dockerfile and push it to your registry" -}}
{{- end -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The most pods that there can be. */ -}}
{{- define "audit-relay.replicasMax" -}}
{{- if .Values.autoscaling.keda.enabled -}}
{{- include "audit-relay.kedaMax" . -}}
{{- else -}}
{{- int .Values.replicas -}}
{{- end -}}
{{- end }}

{{- /* KEDA limits the replicas to the partitions, but knows nothing of workers. */ -}}
{{- define "audit-relay.kedaMax" -}}
{{- $keda := .Values.autoscaling.keda -}}
{{- $partitions := int $keda.partitions -}}
{{- $workers := int .Values.config.workers -}}
{{- if lt $partitions 1 -}}
{{- fail "autoscaling.keda.partitions is required: the number of partitions of the input topic" -}}
{{- end -}}
{{- $most := div $partitions $workers | int -}}
{{- if lt $most 1 -}}
{{- fail (printf "config.workers: %d workers for %d partitions (autoscaling.keda.partitions); lower it" $workers $partitions) -}}
{{- end -}}
{{- $max := default $most (int $keda.maxReplicas) -}}
{{- if gt $max $most -}}
{{- fail (printf "autoscaling.keda.maxReplicas: %d relays with %d workers each are more than %d partitions; at most %d" $max $workers $partitions $most) -}}
{{- end -}}
{{- if gt (int $keda.minReplicas) $max -}}
{{- fail (printf "autoscaling.keda.minReplicas: %d is above the maximum of %d" (int $keda.minReplicas) $max) -}}
{{- end -}}
{{- if eq (toString .Values.config.membership) "static" -}}
{{- fail "config.membership: a static member that is scaled away holds its partitions until its session times out; use dynamic with autoscaling.keda" -}}
{{- end -}}
{{- $max -}}
{{- end }}

{{- /* The ports of bootstrap.servers, as JSON. 9092 is librdkafka's default. */ -}}
{{- define "audit-relay.kafkaPorts" -}}
{{- $ports := list -}}
{{- range splitList "," (get .Values.config.kafka "bootstrap.servers") -}}
{{- $port := regexFind ":[0-9]+$" (trim .) | trimPrefix ":" -}}
{{- $ports = append $ports (int (default "9092" $port)) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end }}

{{- /*
A variable of ours wins over relay.toml, from which the chart computes the grace period, the scaling and the network policy. So
settings belong in config; only properties of librdkafka may come from Secrets, and from the pod's fields.
*/ -}}
{{- define "audit-relay.checkEnv" -}}
{{- range $variable, $_ := .Values.secretEnv -}}
{{- include "audit-relay.checkVariable" $variable -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- include "audit-relay.checkVariable" .name -}}
{{- if and (hasPrefix "AUDIT_RELAY_" .name) (not .valueFrom) -}}
{{- fail (printf "extraEnv: %s with a plain value belongs in config.kafka, or in secretEnv" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "audit-relay.checkVariable" -}}
{{- if and (hasPrefix "AUDIT_RELAY_" .) (or (not (hasPrefix "AUDIT_RELAY_KAFKA__" .)) (eq . "AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS")) -}}
{{- fail (printf "%s in the environment would win over relay.toml; set it in config" .) -}}
{{- end -}}
{{- end }}
