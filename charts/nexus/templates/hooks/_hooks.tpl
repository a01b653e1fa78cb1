{{/* Secrets of the user that this release needs: `VALUE=SECRET:key,key`, a line each. */}}
{{- define "nexus.requiredSecrets" -}}
{{- $values := .Values -}}
{{- with $values.payments.existingSecret }}
- payments.existingSecret={{ . }}:token
{{- end }}
{{- with $values.mail.existingSecret }}
- mail.existingSecret={{ . }}:username,password
{{- end }}
{{- with $values.mail.caSecret }}
- mail.caSecret={{ . }}:ca.crt
{{- end }}
{{- with $values.auth.apiKeysSecret }}
- auth.apiKeysSecret={{ . }}:api-keys
{{- end }}
{{- if $values.restate.external.enabled }}
{{- with $values.restate.external.existingSecret }}
- restate.external.existingSecret={{ . }}:token
{{- end }}
{{- else }}
{{- if $values.restate.snapshots.destination }}
{{- with $values.restate.snapshots.existingSecret }}
- restate.snapshots.existingSecret={{ . }}:access-key-id,secret-access-key
{{- end }}
{{- end }}
{{- end }}
{{- if $values.gateway.tls.enabled }}
- gateway.tls.existingSecret={{ $values.gateway.tls.existingSecret }}:tls.crt,tls.key
{{- with $values.gateway.tls.clientCaSecret }}
- gateway.tls.clientCaSecret={{ . }}:ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Names of all Secrets that make-keys reads or writes. */}}
{{- define "nexus.secretNames" -}}
- {{ include "nexus.keysSecret" . }}
{{- if not .Values.restate.external.enabled }}
- {{ include "nexus.identitySecret" . }}
{{- end }}
{{- if not .Values.production }}
- {{ include "nexus.trialSecret" . }}
{{- end }}
{{- range include "nexus.requiredSecrets" . | fromYamlArray }}
- {{ regexReplaceAll "^[^=]*=([^:]*):.*$" . "${1}" }}
{{- end }}
{{- end -}}

{{- define "nexus.makeKeys.args" -}}
- cluster
- make-keys
{{ include "nexus.releaseArgs" . }}
- --fullname
- {{ include "nexus.fullname" . }}
- --identity-secret
- {{ .Values.restate.external.enabled | ternary "" (include "nexus.identitySecret" .) | quote }}
- --keys-secret
- {{ include "nexus.keysSecret" . }}
{{- if not .Values.production }}
- --trial-secret
- {{ include "nexus.trialSecret" . }}
{{- end }}
{{- $given := list }}
{{- if and .Values.identity.existingSecret (not .Values.restate.external.enabled) }}{{- $given = append $given "identity" }}{{- end }}
{{- if .Values.keys.existingSecret }}{{- $given = append $given "keys" }}{{- end }}
{{- with $given }}
- --check-only
- {{ join "," . }}
{{- end }}
{{- range include "nexus.requiredSecrets" . | fromYamlArray }}
- --require
- {{ . }}
{{- end }}
{{- end -}}

{{- define "nexus.makeKeys.rules" -}}
# What is to be made cannot be limited by name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- include "nexus.secretNames" . | fromYamlArray | uniq | toYaml | nindent 4 }}
  verbs: [get, patch]
{{- end -}}

{{- define "nexus.beforeRollback.args" -}}
- cluster
- before-rollback
{{ include "nexus.releaseArgs" . }}
- --fullname
- {{ include "nexus.fullname" . }}
- --current
- {{ include "nexus.current" . }}
{{- end -}}

{{- define "nexus.beforeRollback.rules" -}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "nexus.fullname" . }}-current]
  verbs: [get, patch]
{{- end -}}

{{- define "nexus.removeEndpoints.args" -}}
- cluster
- remove-endpoints
{{ include "nexus.releaseArgs" . }}
- --fullname
- {{ include "nexus.fullname" . }}
{{- end -}}

{{- define "nexus.removeEndpoints.rules" -}}
- apiGroups: [apps]
  resources: [deployments, replicasets]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "nexus.fullname" . }}-current]
  verbs: [delete]
{{- end -}}

{{/* A hook's Job with its access and, since the release's own may not be there yet, its network policy.
Given: root, name, hook (events), args, rules, deadlineSeconds. */}}
{{- define "nexus.hook" -}}
{{- $given := merge (dict "component" "hooks") . -}}
{{- $name := printf "%s-%s" (include "nexus.fullname" .root) .name -}}
{{ include "nexus.access" $given }}
{{- if .root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" $given | nindent 4 }}
  {{- include "nexus.accessAnnotations" $given | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "nexus.componentSelector" $given | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "nexus.network.dns" .root | nindent 4 }}
    {{- include "nexus.network.apiServer" .root | nindent 4 }}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "nexus.componentLabels" $given | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    helm.sh/hook-output-log-policy: hook-failed
spec:
  {{- include "nexus.jobSpec" $given | nindent 2 }}
{{- end -}}
