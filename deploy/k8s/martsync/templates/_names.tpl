{{/* Names leave room: that of a CronJob may have 52 characters, with the job's (16) and the shard's (5) after it. */}}
{{- define "martsync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 30 | trimSuffix "-" }}
{{- end }}

{{- define "martsync.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 30 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "martsync.selector" -}}
app.kubernetes.io/name: {{ include "martsync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "martsync.labels" -}}
{{ include "martsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (replace "+" "_" .Chart.Version) }}
{{- end }}

{{- define "martsync.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "martsync.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "martsync.configMap" -}}
{{- default (include "martsync.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "martsync.claim" -}}
{{- default (include "martsync.fullname" .) .Values.persistence.existingClaim }}
{{- end }}

{{- define "martsync.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The text of martsync.yaml. */}}
{{- define "martsync.config" -}}
{{- $config := index .Values "config" }}
{{- if kindIs "string" $config }}
{{- $config }}
{{- else }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{/* "true" if the configuration says itself where state is kept. */}}
{{- define "martsync.ownState" -}}
{{- $config := index .Values "config" }}
{{- if kindIs "string" $config }}
{{- regexMatch "(?m)^state:" $config }}
{{- else if kindIs "map" $config }}
{{- hasKey $config "state" }}
{{- end }}
{{- end }}

{{/* Where state is kept, if the configuration does not say so itself. */}}
{{- define "martsync.state" -}}
{{- if .Values.state }}
{{- .Values.state }}
{{- else if and .Values.persistence.enabled (ne (include "martsync.ownState" .) "true") }}
{{- printf "%s/state" .Values.persistence.mountPath }}
{{- end }}
{{- end }}
