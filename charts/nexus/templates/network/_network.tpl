{{/* The release's pods of some components, as peers. Given: root, components. */}}
{{- define "nexus.network.components" -}}
- podSelector:
    matchLabels:
      {{- include "nexus.selectorLabels" .root | nindent 6 }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ toJson .components }}
{{- end -}}

{{/* An egress rule to DNS. */}}
{{- define "nexus.network.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* An egress rule to the Kubernetes API server, by the ports before and behind its Service. */}}
{{- define "nexus.network.apiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.apiServer.cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* An egress rule to a place outside the release. Given: port; optional: peers (none: anywhere). */}}
{{- define "nexus.network.outside" -}}
- ports:
    - {port: {{ .port }}, protocol: TCP}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* An egress rule to the release's own pods. Given: root, components, ports. */}}
{{- define "nexus.network.to" -}}
- to:
    {{- include "nexus.network.components" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* An ingress rule from the release's own pods. Given: root, components, ports. */}}
{{- define "nexus.network.from" -}}
- from:
    {{- include "nexus.network.components" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* An ingress rule for those who read the numbers, where their namespace is named. Given: root, port. */}}
{{- define "nexus.network.metrics" -}}
{{- with .root.Values.monitoring.namespaceLabels }}
- from:
    - namespaceSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
  ports:
    - {port: {{ $.port }}, protocol: TCP}
{{- end }}
{{- end -}}

{{/* Egress rules to Restate's ingress or admin, ours or another. Given: root, door ("ingress" or "admin"). */}}
{{- define "nexus.network.toRestate" -}}
{{- $external := .root.Values.restate.external -}}
{{- if $external.enabled -}}
{{- $url := eq .door "ingress" | ternary $external.ingressUrl $external.adminUrl -}}
{{ include "nexus.network.outside" (dict "port" (include "nexus.portOf" $url) "peers" $external.peers) }}
{{- else -}}
{{ include "nexus.network.to" (dict "root" .root "components" (list "restate") "ports" (list (eq .door "ingress" | ternary 8080 9070))) }}
{{- end -}}
{{- end -}}

{{/* Egress rules to the payment provider. */}}
{{- define "nexus.network.toPayments" -}}
{{- if .Values.payments.url -}}
{{ include "nexus.network.outside" (dict "port" (include "nexus.portOf" .Values.payments.url) "peers" .Values.payments.peers) }}
{{- else -}}
{{ include "nexus.network.to" (dict "root" . "components" (list "payment-simulator") "ports" (list 8901)) }}
{{- end -}}
{{- end -}}

{{/* Egress rules to the store of buyers' keys, where there is one. */}}
{{- define "nexus.network.toDataKeys" -}}
{{- with .Values.dataKeys }}
{{- if or .url .existingSecret }}
{{ include "nexus.network.outside" (dict "port" .port "peers" .peers) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Egress rules to the mail server. */}}
{{- define "nexus.network.toMail" -}}
{{- if .Values.mail.host -}}
{{ include "nexus.network.outside" (dict "port" .Values.mail.port "peers" .Values.mail.peers) }}
{{- else -}}
{{ include "nexus.network.to" (dict "root" . "components" (list "mail-sink") "ports" (list 2525)) }}
{{- end -}}
{{- end -}}

{{/* A policy of one component's pods: with what they may be called by, and what they may call.
Given: root, component, ingress and egress (YAML lists, may be empty). */}}
{{- define "nexus.network.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "nexus.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "nexus.componentSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress | default "" | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .egress | default "" | trim }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
