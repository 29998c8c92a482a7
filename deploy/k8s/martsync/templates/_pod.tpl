{{/*
The pod of one process. Takes root (the chart), args (of martsync), restart (its policy), serve (whether it listens).
*/}}
{{- define "martsync.podSpec" -}}
{{- $v := .root.Values -}}
serviceAccountName: {{ include "martsync.serviceAccount" .root }}
# It asks nothing of Kubernetes. A role of AWS comes by a token of its own.
automountServiceAccountToken: false
restartPolicy: {{ .restart }}
terminationGracePeriodSeconds: {{ int64 $v.terminationGracePeriodSeconds }}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
securityContext:
  {{- toYaml $v.podSecurityContext | nindent 2 }}
containers:
  - name: martsync
    image: {{ include "martsync.image" .root | quote }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    args:
      {{- range .args }}
      - {{ . | quote }}
      {{- end }}
    env:
      - name: MARTSYNC_CONFIG
        value: /etc/martsync/martsync.yaml
      {{- with include "martsync.state" .root }}
      - name: MARTSYNC_STATE
        value: {{ . | quote }}
      {{- end }}
      - name: TMPDIR
        value: /tmp
      {{- with $v.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if or $v.existingSecret $v.secrets $v.envFrom }}
    envFrom:
      {{- if or $v.existingSecret $v.secrets }}
      - secretRef:
          name: {{ default (include "martsync.fullname" .root) $v.existingSecret }}
      {{- end }}
      {{- with $v.envFrom }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
    {{- if .serve }}
    ports:
      - name: http
        containerPort: {{ int64 $v.serve.port }}
        protocol: TCP
    # Unwell is who cannot use the state. A new process is no cure for that, only for one that hangs.
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 30
      timeoutSeconds: 10
      failureThreshold: 20
    readinessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 10
      failureThreshold: 3
    {{- end }}
    resources:
      {{- toYaml $v.resources | nindent 6 }}
    securityContext:
      {{- toYaml $v.securityContext | nindent 6 }}
    volumeMounts:
      - name: config
        mountPath: /etc/martsync
        readOnly: true
      - name: tmp
        mountPath: /tmp
      {{- if $v.persistence.enabled }}
      - name: data
        mountPath: {{ $v.persistence.mountPath | quote }}
      {{- end }}
      {{- with $v.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "martsync.configMap" .root }}
  - name: tmp
    emptyDir:
      sizeLimit: {{ $v.tmpSizeLimit | quote }}
  {{- if $v.persistence.enabled }}
  - name: data
    persistentVolumeClaim:
      claimName: {{ include "martsync.claim" .root }}
  {{- end }}
  {{- with $v.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
