{{/* What every command of the registrar is told of the release, as arguments. */}}
{{- define "nexus.releaseArgs" -}}
- --release
- {{ .Release.Name | quote }}
- --namespace
- {{ .Release.Namespace | quote }}
{{- end -}}

{{- define "nexus.register.args" -}}
- cluster
- register
{{ include "nexus.releaseArgs" . }}
- --current
- {{ include "nexus.current" . }}
- --address
- {{ include "nexus.register.address" . | quote }}
- --timeout
- {{ .Values.register.timeoutSeconds | quote }}
{{- if .Values.register.takeOver }}
- --take-over
{{- end }}
{{- if .Values.register.breaking }}
- --breaking
{{- end }}
{{- end -}}

{{- define "nexus.prune.args" -}}
- cluster
- prune
{{ include "nexus.releaseArgs" . }}
- --fullname
- {{ include "nexus.fullname" . }}
- --current
- {{ include "nexus.current" . }}
- --address
- {{ include "nexus.register.address" . | quote }}
- --keep-seconds
- {{ .Values.register.keepSeconds | quote }}
{{- end -}}

{{- define "nexus.rotateIdentity.args" -}}
- cluster
- rotate-identity
{{ include "nexus.releaseArgs" . }}
- --fullname
- {{ include "nexus.fullname" . }}
- --identity-secret
- {{ include "nexus.identitySecret" . }}
{{- end -}}

{{- define "nexus.register.address" -}}
{{- .Values.register.address | default (printf "http://{service}.{namespace}.svc.%s:{port}" .Values.clusterDomain) -}}
{{- end -}}

{{- define "nexus.registrar.env" -}}
- name: NEXUS_ADMIN_URL
  value: {{ include "nexus.adminUrl" . | quote }}
{{ include "nexus.adminToken" . }}
{{- end -}}

{{/* Spec of a registrar's or hook's Job: one attempt, since the commands wait by themselves and a refusal must fail at once.
Given: root, component, name (of the ServiceAccount, without the release), args, deadlineSeconds; optional: env. */}}
{{- define "nexus.jobSpec" -}}
{{- $given := merge (dict "block" .root.Values.register "isJob" true
  "serviceAccount" (printf "%s-%s" (include "nexus.fullname" .root) .name)) . -}}
backoffLimit: 0
activeDeadlineSeconds: {{ .deadlineSeconds }}
# What failed can be read for that long.
ttlSecondsAfterFinished: 3600
template:
  metadata:
    {{- include "nexus.podMetadata" $given | nindent 4 }}
  spec:
    {{- include "nexus.podSpec" $given | nindent 4 }}
{{- end -}}

{{/* ServiceAccount, Role and RoleBinding of one job. Given: root, component, name, rules (YAML); optional: hook (its events:
then they live as long as the hook). */}}
{{- define "nexus.access" -}}
{{- $name := printf "%s-%s" (include "nexus.fullname" .root) .name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" . | nindent 4 }}
  {{- include "nexus.accessAnnotations" . | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" . | nindent 4 }}
  {{- include "nexus.accessAnnotations" . | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" . | nindent 4 }}
  {{- include "nexus.accessAnnotations" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{- define "nexus.accessAnnotations" -}}
{{- with .hook -}}
annotations:
  helm.sh/hook: {{ . }}
  helm.sh/hook-weight: "-20"
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
{{- end -}}
