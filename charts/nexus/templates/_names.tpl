{{/*
Name of everything in a release: the release's name, after which `-nexus` is put where it is not in it.
At most 36 characters, since the longest that is made of it is a CronJob's (52 with `-rotate-identity`).
A name that is cut ends in a hash of the whole, so that two long ones stay apart.
*/}}
{{- define "nexus.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains "nexus" .Release.Name | ternary .Release.Name (printf "%s-nexus" .Release.Name)) -}}
{{- if gt (len $name) 36 -}}
{{- printf "%s-%s" ($name | trunc 29 | trimSuffix "-") ($name | sha256sum | trunc 6) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* Labels that select: they never change in the life of a release. */}}
{{- define "nexus.selectorLabels" -}}
app.kubernetes.io/name: nexus
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "nexus.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "nexus.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: nexus
{{- end -}}

{{/* Labels of one component's object. Given: root, component. */}}
{{- define "nexus.componentLabels" -}}
{{ include "nexus.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels that select one component's pods. Given: root, component. */}}
{{- define "nexus.componentSelector" -}}
{{ include "nexus.selectorLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Secret with the identity key that Restate signs with. */}}
{{- define "nexus.identitySecret" -}}
{{- .Values.identity.existingSecret | default (printf "%s-identity" (include "nexus.fullname" .)) -}}
{{- end -}}

{{/* Secret with the keys that seal addresses, hash subjects and sign reports. */}}
{{- define "nexus.keysSecret" -}}
{{- .Values.keys.existingSecret | default (printf "%s-keys" (include "nexus.fullname" .)) -}}
{{- end -}}

{{/* Where the keys of single buyers are, the same for gateway, checkout and ops. */}}
{{- define "nexus.dataKeysEnv" -}}
{{- with .Values.dataKeys }}
{{- if .existingSecret }}
{{- include "nexus.envFromSecret" (dict "name" "NEXUS_DATA_KEYS_URL" "secret" .existingSecret "key" "url") }}
{{- else if .url -}}
- name: NEXUS_DATA_KEYS_URL
  value: {{ .url | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secret with the key pairs of a trial. */}}
{{- define "nexus.trialSecret" -}}
{{- printf "%s-trial-auth" (include "nexus.fullname" .) -}}
{{- end -}}

{{/*
"true" where a part of the trial is there: as its `enabled` says, else where nothing of the user's own takes its place.
Given: root, part.
*/}}
{{- define "nexus.hasTrialPart" -}}
{{- $values := .root.Values -}}
{{- $enabled := (get $values .part).enabled -}}
{{- $theirs := dict "paymentSimulator" $values.payments.url "mailSink" $values.mail.host
  "test" (or $values.payments.url $values.mail.host) -}}
{{- if kindIs "bool" $enabled -}}
{{- ternary "true" "" $enabled -}}
{{- else if not (or $values.production (get $theirs .part)) -}}
true
{{- end -}}
{{- end -}}

{{/* "true" where callers sign in with the trial's key pair. */}}
{{- define "nexus.hasTrialSignIn" -}}
{{- if not (or .Values.production .Values.auth.jwks .Values.auth.publicKey) -}}true{{- end -}}
{{- end -}}

{{/* "true" where `nexus verify` can run as a Job: it needs ops, and something to sign in with. */}}
{{- define "nexus.hasVerify" -}}
{{- if and .Values.ops.enabled (or .Values.ops.verify.tokenSecret (include "nexus.hasTrialSignIn" .)) -}}true{{- end -}}
{{- end -}}

{{/* Where the payment provider is. */}}
{{- define "nexus.paymentsUrl" -}}
{{- .Values.payments.url | default (printf "http://%s-payment-simulator:8901" (include "nexus.fullname" .)) -}}
{{- end -}}

{{/* Where Restate takes calls. */}}
{{- define "nexus.ingressUrl" -}}
{{- if .Values.restate.external.enabled -}}
{{- .Values.restate.external.ingressUrl -}}
{{- else -}}
{{- printf "http://%s-restate:8080" (include "nexus.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Where Restate is administered. */}}
{{- define "nexus.adminUrl" -}}
{{- if .Values.restate.external.enabled -}}
{{- .Values.restate.external.adminUrl -}}
{{- else -}}
{{- printf "http://%s-restate:9070" (include "nexus.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Port of an http(s) address. */}}
{{- define "nexus.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}
