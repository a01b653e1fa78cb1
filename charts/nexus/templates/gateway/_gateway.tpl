{{- define "nexus.gateway.env" -}}
{{- $values := .Values -}}
{{- $keys := include "nexus.keysSecret" . -}}
- name: NEXUS_HOST
  value: 0.0.0.0
- name: NEXUS_GRPC_PORT
  value: "50051"
- name: NEXUS_HTTP_PORT
  value: "8000"
- name: NEXUS_METRICS_PORT
  value: "9184"
- name: NEXUS_LOG_LEVEL
  value: {{ $values.logLevel }}
- name: NEXUS_INGRESS_URL
  value: {{ include "nexus.ingressUrl" . | quote }}
- name: NEXUS_INGRESS_WAIT_SECONDS
  value: {{ $values.gateway.ingressWaitSeconds | quote }}
{{ include "nexus.ingressToken" . }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_SEAL_KEYS" "secret" $keys "key" "seal-keys") }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_SUBJECT_KEY" "secret" $keys "key" "subject-key") }}
{{ include "nexus.dataKeysEnv" . }}
{{ include "nexus.authEnv" . }}
{{- if not $values.production }}
- name: NEXUS_AUTH_TEST_PUBLIC_KEY
  value: /etc/nexus/trial/helm-test-public.pem
{{- end }}
{{- with $values.gateway.cors.origins }}
- name: NEXUS_CORS_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{ include "nexus.gateway.limits" . }}
{{- if $values.gateway.tls.enabled }}
- name: NEXUS_TLS_CERT_FILE
  value: /etc/nexus/tls/tls.crt
- name: NEXUS_TLS_KEY_FILE
  value: /etc/nexus/tls/tls.key
{{- if $values.gateway.tls.clientCaSecret }}
- name: NEXUS_TLS_CLIENT_CA_FILE
  value: /etc/nexus/client-ca/ca.crt
{{- end }}
{{- end }}
{{- with $values.otlp.endpoint }}
- name: NEXUS_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* How much a caller, an address and all of them together may ask for. */}}
{{- define "nexus.gateway.limits" -}}
{{- $limits := .Values.gateway.rateLimit -}}
- name: NEXUS_RATE_LIMIT
  value: {{ $limits.enabled | quote }}
- name: NEXUS_MAX_IN_FLIGHT
  value: {{ int $limits.maxInFlight | quote }}
- name: NEXUS_MAX_WATCHES
  value: {{ int $limits.maxWatches | quote }}
{{- range $scope := list "caller" "address" }}
{{- $given := list }}
{{- range $name, $limit := get $limits $scope }}
{{- $given = append $given (printf "%s=%s" $name $limit) }}
{{- end }}
{{- with $given }}
- name: NEXUS_RATE_LIMIT_{{ upper $scope }}
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- with $limits.exempt }}
- name: NEXUS_RATE_LIMIT_EXEMPT
  value: {{ join "," . | quote }}
{{- end }}
{{- with $limits.trustedProxies }}
- name: NEXUS_TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- if $limits.store.existingSecret }}
{{ include "nexus.envFromSecret" (dict "name" "NEXUS_RATE_LIMIT_STORE" "secret" $limits.store.existingSecret "key" "url") }}
{{- else if $limits.store.url }}
- name: NEXUS_RATE_LIMIT_STORE
  value: {{ $limits.store.url | quote }}
{{- end }}
{{- end -}}

{{/* How callers sign in, the same for gateway and ops. */}}
{{- define "nexus.authEnv" -}}
{{- $auth := .Values.auth -}}
{{- if include "nexus.hasTrialSignIn" . }}
- name: NEXUS_AUTH_PUBLIC_KEY
  value: /etc/nexus/trial/auth-public.pem
{{- end }}
{{- with $auth.publicKey }}
- name: NEXUS_AUTH_PUBLIC_KEY
  value: {{ . | quote }}
{{- end }}
{{- with $auth.jwks }}
- name: NEXUS_AUTH_JWKS_URL
  value: {{ . | quote }}
{{- end }}
- name: NEXUS_AUTH_ISSUER
  value: {{ $auth.issuer | quote }}
- name: NEXUS_AUTH_AUDIENCE
  value: {{ $auth.audience | quote }}
{{- with $auth.algorithms }}
- name: NEXUS_AUTH_ALGORITHMS
  value: {{ join "," . | quote }}
{{- end }}
{{- if $auth.apiKeysSecret }}
- name: NEXUS_API_KEYS_FILE
  value: /etc/nexus/api-keys/api-keys
{{- end }}
{{- end -}}

{{/* Token for the ingress of a Restate that is not ours. */}}
{{- define "nexus.ingressToken" -}}
{{- if .Values.restate.external.enabled }}
{{- with .Values.restate.external.existingSecret }}
{{- include "nexus.envFromSecret" (dict "name" "NEXUS_INGRESS_TOKEN" "secret" . "key" "token") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Token for the admin API of a Restate that is not ours. */}}
{{- define "nexus.adminToken" -}}
{{- if .Values.restate.external.enabled }}
{{- with .Values.restate.external.existingSecret }}
{{- include "nexus.envFromSecret" (dict "name" "NEXUS_ADMIN_TOKEN" "secret" . "key" "token") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Files that sign-in needs, the same for gateway and ops. */}}
{{- define "nexus.authMounts" -}}
{{- if not .Values.production }}
- name: trial
  mountPath: /etc/nexus/trial
  readOnly: true
{{- end }}
{{- if .Values.auth.apiKeysSecret }}
- name: api-keys
  mountPath: /etc/nexus/api-keys
  readOnly: true
{{- end }}
{{- end -}}

{{- define "nexus.authVolumes" -}}
{{- if not .Values.production }}
- name: trial
  secret:
    secretName: {{ include "nexus.trialSecret" . }}
    # The public parts alone.
    items:
      - key: auth-public.pem
        path: auth-public.pem
      - key: helm-test-public.pem
        path: helm-test-public.pem
{{- end }}
{{- with .Values.auth.apiKeysSecret }}
- name: api-keys
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - key: api-keys
        path: api-keys
{{- end }}
{{- end -}}

{{- define "nexus.gateway.mounts" -}}
{{- include "nexus.authMounts" . }}
{{- if .Values.gateway.tls.enabled }}
- name: tls
  mountPath: /etc/nexus/tls
  readOnly: true
{{- if .Values.gateway.tls.clientCaSecret }}
- name: client-ca
  mountPath: /etc/nexus/client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.gateway.volumes" -}}
{{- include "nexus.authVolumes" . }}
{{- if .Values.gateway.tls.enabled }}
- name: tls
  secret:
    secretName: {{ .Values.gateway.tls.existingSecret }}
    defaultMode: 0440
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- with .Values.gateway.tls.clientCaSecret }}
- name: client-ca
  secret:
    secretName: {{ . }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.gateway.ports" -}}
- name: grpc
  containerPort: 50051
- name: http
  containerPort: 8000
- name: metrics
  containerPort: 9184
{{- end -}}

{{/* Alive: the process. Ready: it can serve, which its gRPC health tells as /readyz does. The kubelet speaks gRPC without
TLS only; the metrics port is always plain. */}}
{{- define "nexus.gateway.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 90
readinessProbe:
  {{- if .Values.gateway.tls.enabled }}
  httpGet: {path: /readyz, port: metrics}
  {{- else }}
  grpc: {port: 50051}
  {{- end }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
