{{/* Mistakes that would only show when the first sync fails. */}}
{{- define "martsync.checks" -}}
{{- $config := index .Values "config" }}
{{- if and (not $config) (not .Values.existingConfigMap) }}
{{- fail "config is empty: give martsync.yaml as config, or name a ConfigMap in existingConfigMap" }}
{{- end }}
{{- if and $config .Values.existingConfigMap }}
{{- fail "there are both config and existingConfigMap: remove one" }}
{{- end }}
{{- if and .Values.secrets .Values.existingSecret }}
{{- fail "there are both secrets and existingSecret: remove one" }}
{{- end }}
{{- if and (eq .Values.mode "serve") .Values.jobs }}
{{- fail "jobs are for mode cronjob: martsync serve keeps to the schedules in the configuration" }}
{{- end }}
{{- if and $config (ne (include "martsync.ownState" .) "true") (not .Values.state) (not .Values.persistence.enabled) }}
{{- fail "there is no place for state: set state to s3://bucket/prefix, or persistence.enabled to true" }}
{{- end }}
{{- if kindIs "map" $config }}
{{- $places := dict }}
{{- range $name, $d := (default dict (get $config "destinations")) }}
{{- if kindIs "map" $d }}
{{- $_ := set $places (printf "destinations.%s.path" $name) (get $d "path") }}
{{- end }}
{{- end }}
{{- range $name, $s := (default dict (get $config "sources")) }}
{{- if kindIs "map" $s }}
{{- $_ := set $places (printf "sources.%s.token_file" $name) (get $s "token_file") }}
{{- end }}
{{- end }}
{{- if kindIs "string" (get $config "state") }}
{{- $_ := set $places "state" (get $config "state") }}
{{- end }}
{{- range $key, $path := $places }}
{{- if and $path (not (hasPrefix "/" $path)) (not (contains "://" $path)) (not (hasPrefix "${" $path)) }}
{{- fail (printf "config.%s is the relative path %s, in a folder that cannot be written to: write %s/%s" $key $path $.Values.persistence.mountPath $path) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $job := (include "martsync.jobs" . | fromYaml) }}
{{- if gt (int $job.shards) 1 }}
{{- if and $.Values.persistence.enabled (not (has "ReadWriteMany" $.Values.persistence.accessModes)) }}
{{- fail (printf "%d shards cannot share a volume that one node mounts: set state to s3://bucket/prefix and persistence.enabled to false, or persistence.accessModes to [ReadWriteMany]" (int $job.shards)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The CronJobs by name, or the one Deployment, with everything they leave out filled in. */}}
{{- define "martsync.jobs" -}}
{{- $default := dict "schedule" .Values.schedule "timeZone" .Values.timeZone "shards" .Values.shards "suspend" .Values.cronJob.suspend "syncs" list "extraArgs" .Values.extraArgs }}
{{- $jobs := dict }}
{{- if .Values.jobs }}
{{- range $name, $job := .Values.jobs }}
{{- $whole := deepCopy (default dict $job) }}
{{- range $key, $value := $default }}
{{- if not (hasKey $whole $key) }}
{{- $_ := set $whole $key $value }}
{{- end }}
{{- end }}
{{- $_ := set $jobs $name $whole }}
{{- end }}
{{- else }}
{{- $_ := set $jobs (ternary "serve" "sync" (eq .Values.mode "serve")) $default }}
{{- end }}
{{- toYaml $jobs }}
{{- end }}
