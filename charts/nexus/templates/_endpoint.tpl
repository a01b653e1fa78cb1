{{/*
An endpoint's version is a hash of its pod template: every change of the template is a Deployment and a Service of its
own, so that invocations in flight end on the code that they began with. Keys come from files, so that other keys are
no other version.
*/}}

{{/* Ports of each endpoint, and the order in which they are named. */}}
{{- define "nexus.endpoints" -}}
ticket: {port: 9081, metricsPort: 9181}
seatmap: {port: 9082, metricsPort: 9182}
checkout: {port: 9083, metricsPort: 9183}
{{- end -}}

{{- define "nexus.endpoint.env" -}}
{{- $values := .root.Values -}}
- name: NEXUS_HOST
  value: 0.0.0.0
- name: NEXUS_PORT
  value: {{ .port | quote }}
- name: NEXUS_METRICS_PORT
  value: {{ .metricsPort | quote }}
- name: NEXUS_LOG_LEVEL
  value: {{ $values.logLevel }}
- name: NEXUS_IDENTITY_KEYS_FILE
  value: /etc/nexus/identity/identity-keys
{{- with $values.otlp.endpoint }}
- name: NEXUS_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- if eq .component "checkout" }}
{{ include "nexus.checkout.env" .root }}
{{- end }}
{{- end -}}

{{- define "nexus.checkout.env" -}}
{{- $fullname := include "nexus.fullname" . -}}
{{- include "nexus.envFromSecret" (dict "name" "NEXUS_SEAL_KEYS" "secret" (include "nexus.keysSecret" .) "key" "seal-keys") }}
{{ include "nexus.dataKeysEnv" . }}
- name: NEXUS_PAYMENTS_URL
  value: {{ include "nexus.paymentsUrl" . | quote }}
{{- with .Values.payments.existingSecret }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_PAYMENTS_TOKEN" "secret" . "key" "token") }}
{{- end }}
- name: NEXUS_MAIL_FROM
  value: {{ .Values.mail.from | quote }}
{{- if .Values.mail.host }}
- name: NEXUS_MAIL_HOST
  value: {{ .Values.mail.host | quote }}
- name: NEXUS_MAIL_PORT
  value: {{ .Values.mail.port | quote }}
- name: NEXUS_MAIL_TLS
  value: {{ .Values.mail.tls }}
{{- else }}
- name: NEXUS_MAIL_HOST
  value: {{ $fullname }}-mail-sink
- name: NEXUS_MAIL_PORT
  value: "2525"
{{- end }}
{{- with .Values.mail.existingSecret }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_MAIL_USERNAME" "secret" . "key" "username") }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_MAIL_PASSWORD" "secret" . "key" "password") }}
{{- end }}
{{- if .Values.mail.caSecret }}
- name: NEXUS_MAIL_CA_FILE
  value: /etc/nexus/mail-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "nexus.endpoint.ports" -}}
- name: endpoint
  containerPort: {{ .port }}
- name: metrics
  containerPort: {{ .metricsPort }}
{{- end -}}

{{/* Asked often: a pod that was killed is back within seconds. Patient when alive: a busy node is no reason to kill. */}}
{{- define "nexus.endpoint.probes" -}}
startupProbe:
  httpGet: {path: /health, port: endpoint}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 90
readinessProbe:
  httpGet: {path: /health, port: endpoint}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /health, port: endpoint}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "nexus.endpoint.mounts" -}}
# A folder, not a single file: only so does the kubelet bring in the keys of a rotation.
- name: identity
  mountPath: /etc/nexus/identity
  readOnly: true
{{- if and (eq .component "checkout") .root.Values.mail.caSecret }}
- name: mail-ca
  mountPath: /etc/nexus/mail-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "nexus.endpoint.volumes" -}}
- name: identity
  {{- if .root.Values.restate.external.enabled }}
  configMap:
    name: {{ include "nexus.fullname" .root }}-identity-keys
  {{- else }}
  secret:
    secretName: {{ include "nexus.identitySecret" .root }}
    # The public part alone.
    items:
      - key: identity-keys
        path: identity-keys
  {{- end }}
{{- if eq .component "checkout" }}
{{- with .root.Values.mail.caSecret }}
- name: mail-ca
  secret:
    secretName: {{ . }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Pod template of an endpoint without its version. Given: root, component, port, metricsPort. */}}
{{- define "nexus.endpoint.podTemplate" -}}
{{- $given := merge (dict
  "block" (get .root.Values .component)
  "args" (list "run" .component)
  "labels" (include "nexus.endpoint.labels" . | fromYaml)
  "env" (include "nexus.endpoint.env" .)
  "ports" (include "nexus.endpoint.ports" .)
  "probes" (include "nexus.endpoint.probes" .)
  "mounts" (include "nexus.endpoint.mounts" .)
  "volumes" (include "nexus.endpoint.volumes" .)
  "graceSeconds" 30) . -}}
metadata:
  {{- include "nexus.podMetadata" $given | nindent 2 }}
spec:
  # 20 s of draining, and some to spare.
  {{- include "nexus.podSpec" $given | nindent 2 }}
{{- end -}}

{{- define "nexus.endpoint.labels" -}}
nexus.dev/endpoint: {{ .component }}
{{- with .root.Values.restate.external.clusterName }}
{{- if $.root.Values.restate.external.enabled }}
# Restate's operator lets the cluster call pods with this label alone.
allow.restate.dev/{{ . }}: "true"
{{- end }}
{{- end }}
{{- end -}}

{{/* Version of an endpoint: read as YAML first, so that a comment or a blank line of this chart is no new version. */}}
{{- define "nexus.endpoint.hash" -}}
{{- include "nexus.endpoint.podTemplate" . | fromYaml | toYaml | sha256sum | trunc 10 -}}
{{- end -}}

{{/* What the registrar is told of the present versions: ticket=HASH,seatmap=HASH,checkout=HASH. */}}
{{- define "nexus.current" -}}
{{- $root := . -}}
{{- $all := include "nexus.endpoints" . | fromYaml -}}
{{- $parts := list -}}
{{- range $component := list "ticket" "seatmap" "checkout" -}}
{{- $given := merge (dict "root" $root "component" $component) (get $all $component) -}}
{{- $parts = append $parts (printf "%s=%s" $component (include "nexus.endpoint.hash" $given)) -}}
{{- end -}}
{{- join "," $parts -}}
{{- end -}}
