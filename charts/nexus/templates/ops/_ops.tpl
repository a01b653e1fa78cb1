{{- define "nexus.ops.env" -}}
- name: NEXUS_HOST
  value: 0.0.0.0
- name: NEXUS_GRPC_PORT
  value: "50052"
- name: NEXUS_HTTP_PORT
  value: "8001"
- name: NEXUS_METRICS_PORT
  value: "9185"
- name: NEXUS_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: NEXUS_ADMIN_URL
  value: {{ include "nexus.adminUrl" . | quote }}
- name: NEXUS_INGRESS_URL
  value: {{ include "nexus.ingressUrl" . | quote }}
{{ include "nexus.adminToken" . }}
{{ include "nexus.ingressToken" . }}
- name: NEXUS_PAYMENTS_URL
  value: {{ include "nexus.paymentsUrl" . | quote }}
{{- with .Values.payments.existingSecret }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_PAYMENTS_TOKEN" "secret" . "key" "token") }}
{{- end }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_SUBJECT_KEY" "secret" (include "nexus.keysSecret" .) "key" "subject-key") }}
{{- if .Values.ops.verify.schedule }}
# The CronJob's business, whose audits set the same numbers.
- name: NEXUS_AUDIT_SECONDS
  value: "0"
{{- end }}
- name: NEXUS_REPORT_KEY_FILE
  value: /etc/nexus/report/report.pem
{{ include "nexus.dataKeysEnv" . }}
{{ include "nexus.authEnv" . }}
{{- end -}}

{{- define "nexus.ops.ports" -}}
- name: grpc
  containerPort: 50052
- name: http
  containerPort: 8001
- name: metrics
  containerPort: 9185
{{- end -}}

{{/* Ready as soon as it is alive: it tells of a Restate that is away, so it must not be away with it. */}}
{{- define "nexus.ops.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 90
readinessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "nexus.ops.mounts" -}}
- name: report
  mountPath: /etc/nexus/report
  readOnly: true
{{- include "nexus.authMounts" . }}
{{- end -}}

{{- define "nexus.ops.volumes" -}}
- name: report
  secret:
    secretName: {{ include "nexus.keysSecret" . }}
    defaultMode: 0400
    items:
      - key: report.pem
        path: report.pem
{{- include "nexus.authVolumes" . }}
{{- end -}}
