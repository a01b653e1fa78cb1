{{- define "nexus.paymentSimulator.env" -}}
- name: NEXUS_HOST
  value: 0.0.0.0
- name: NEXUS_PORT
  value: "8901"
- name: NEXUS_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: NEXUS_LEDGER
  value: /ledger/ledger.jsonl
{{- end -}}

{{- define "nexus.mailSink.env" -}}
- name: NEXUS_HOST
  value: 0.0.0.0
- name: NEXUS_PORT
  value: "8902"
- name: NEXUS_SMTP_PORT
  value: "2525"
- name: NEXUS_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "nexus.mailSink.ports" -}}
- name: smtp
  containerPort: 2525
- name: http
  containerPort: 8902
{{- end -}}

{{- define "nexus.trial.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 90
readinessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
