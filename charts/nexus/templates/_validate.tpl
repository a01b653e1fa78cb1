{{/* Says of values that cannot go together, in one sentence each that names them, and makes nothing then. */}}
{{- define "nexus.validate" -}}
{{- $wrong := concat
  (include "nexus.validate.production" . | fromYamlArray)
  (include "nexus.validate.dataKeys" . | fromYamlArray)
  (include "nexus.validate.trial" . | fromYamlArray)
  (include "nexus.validate.restate" . | fromYamlArray)
  (include "nexus.validate.doors" . | fromYamlArray)
  (include "nexus.validate.images" . | fromYamlArray) -}}
{{- if $wrong -}}
{{- fail (join "\n" $wrong) -}}
{{- end -}}
{{- end -}}

{{- define "nexus.validate.production" -}}
{{- $values := .Values -}}
{{- if $values.production }}
{{- range $part := list "paymentSimulator" "mailSink" "test" }}
{{- if eq (toString (get $values $part).enabled) "true" }}
- "{{ $part }}.enabled: true is part of a trial, which production: true refuses."
{{- end }}
{{- end }}
{{- if not $values.payments.url }}
- "payments.url is required with production: true, since the payment simulator is for trials only."
{{- end }}
{{- if not $values.payments.existingSecret }}
- "payments.existingSecret is required with production: true: a Secret with the provider's `token`."
{{- end }}
{{- if not $values.mail.host }}
- "mail.host is required with production: true, since the mail sink is for trials only."
{{- end }}
{{- if not $values.mail.existingSecret }}
- "mail.existingSecret is required with production: true: a Secret with `username` and `password` of the mail server."
{{- end }}
{{- if not (or $values.auth.jwks $values.auth.publicKey) }}
- "auth.jwks or auth.publicKey is required with production: true, since the sign-in key that is made here is for trials only."
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.validate.dataKeys" -}}
{{- with .Values.dataKeys }}
{{- if and .url .existingSecret }}
- "dataKeys: url and existingSecret are both set: leave one of them empty."
{{- end }}
{{- if contains "@" .url }}
- "dataKeys.url holds a password: put the address into a Secret, and name that as dataKeys.existingSecret."
{{- end }}
{{- if and .url (not (regexMatch "^rediss?://[^/]+" .url)) }}
- "dataKeys.url does not begin with redis:// or rediss://: pods share no folder."
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.validate.trial" -}}
{{- $values := .Values -}}
{{- if and $values.auth.jwks $values.auth.publicKey }}
- "auth.jwks and auth.publicKey are both set: set the one by which callers sign in."
{{- end }}
{{- if and $values.mail.existingSecret (eq $values.mail.tls "none") }}
- "mail.tls: none would send the password of mail.existingSecret in the open: set it to starttls or tls."
{{- end }}
{{- if and $values.payments.url (not (regexMatch "^https?://[^/]+" $values.payments.url)) }}
- "payments.url: {{ $values.payments.url }} does not begin with http:// or https://."
{{- end }}
{{- if and $values.auth.jwks (not (regexMatch "^https?://[^/]+" $values.auth.jwks)) }}
- "auth.jwks: {{ $values.auth.jwks }} does not begin with http:// or https://."
{{- end }}
{{- if not (or $values.production $values.payments.url (include "nexus.hasTrialPart" (dict "root" . "part" "paymentSimulator"))) }}
- "paymentSimulator.enabled: false leaves no payment provider: set payments.url."
{{- end }}
{{- if not (or $values.production $values.mail.host (include "nexus.hasTrialPart" (dict "root" . "part" "mailSink"))) }}
- "mailSink.enabled: false leaves no mail server: set mail.host."
{{- end }}
{{- if and (not $values.production) (eq (toString $values.test.enabled) "true") (or $values.payments.url $values.mail.host) }}
- "test.enabled: true reads the ledger of the payment simulator and the mails of the mail sink, which payments.url or mail.host replaces."
{{- end }}
{{- range $process := list "ticket" "seatmap" "checkout" "gateway" "ops" }}
{{- range (get $values $process).env }}
{{- if eq .name "NEXUS_INSECURE_DEV" }}
- "{{ $process }}.env: NEXUS_INSECURE_DEV would let anybody call as anybody: leave it out."
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.validate.restate" -}}
{{- $restate := .Values.restate -}}
{{- $external := $restate.external -}}
{{- if $external.enabled }}
{{- range $name := list "ingressUrl" "adminUrl" }}
{{- if not (regexMatch "^https?://[^/]+" (get $external $name)) }}
- "restate.external.{{ $name }} is required with restate.external.enabled: true and begins with http:// or https://."
{{- end }}
{{- end }}
{{- if not (join "" $external.identityKeys) }}
- "restate.external.identityKeys is empty: without the public key of that Restate the endpoints would obey anybody."
{{- end }}
{{- range $external.identityKeys }}
{{- if and . (not (regexMatch "^publickeyv1_[1-9A-HJ-NP-Za-km-z]+$" .)) }}
- "restate.external.identityKeys: {{ . }} is no public key of Restate, which has the form publickeyv1_..."
{{- end }}
{{- end }}
{{- if $.Values.identity.existingSecret }}
- "identity.existingSecret is for a Restate of this chart: with restate.external.enabled: true set restate.external.identityKeys."
{{- end }}
{{- else }}
{{- $version := $restate.image.tag | toString }}
{{- if not (regexMatch "^v?[0-9]+\\.[0-9]+\\.[0-9]+" $version) }}
- "restate.image.tag: {{ $version }} is no version: set it to 1.7.4 or later."
{{- else if not (semverCompare ">=1.7.4-0" $version) }}
- "restate.image.tag: {{ $version }} is too old: Nexus needs Restate 1.7.4 or later."
{{- end }}
{{- if not (has (int $restate.replicas) (list 1 3 5)) }}
- "restate.replicas: {{ $restate.replicas }} makes no cluster: set it to 1, 3 or 5."
{{- end }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(k|M|G|Ki|Mi|Gi)?$" (toString (dig "limits" "memory" "" $restate.resources))) }}
- "restate.resources.limits.memory is required, as in 1Gi: Restate's own bounds are made of it."
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.validate.doors" -}}
{{- $gateway := .Values.gateway -}}
{{- if and $gateway.tls.enabled (not $gateway.tls.existingSecret) }}
- "gateway.tls.existingSecret is required with gateway.tls.enabled: true: a Secret with tls.crt and tls.key."
{{- end }}
{{- if and $gateway.rateLimit.store.url $gateway.rateLimit.store.existingSecret }}
- "gateway.rateLimit.store: url and existingSecret are both set: leave one of them empty."
{{- end }}
{{- if contains "@" $gateway.rateLimit.store.url }}
- "gateway.rateLimit.store.url holds a password: put the address into a Secret, and name that as gateway.rateLimit.store.existingSecret."
{{- end }}
{{- if and .Values.ops.verify.schedule (not (include "nexus.hasVerify" .)) }}
- "ops.verify.schedule needs ops.enabled: true, and outside a trial ops.verify.tokenSecret: a Secret with the token of an admin."
{{- end }}
{{- if and $gateway.tls.clientCaSecret (not $gateway.tls.enabled) }}
- "gateway.tls.clientCaSecret needs gateway.tls.enabled: true."
{{- end }}
{{- if and $gateway.ingress.enabled (not (or $gateway.ingress.http.host $gateway.ingress.grpc.host)) }}
- "gateway.ingress.http.host or gateway.ingress.grpc.host is required with gateway.ingress.enabled: true."
{{- end }}
{{- $api := $gateway.gatewayApi }}
{{- if $api.enabled }}
{{- if not $api.parentRefs }}
- "gateway.gatewayApi.parentRefs is required with gateway.gatewayApi.enabled: true: the Gateway that the routes join."
{{- end }}
{{- if not (or $api.http.hostnames $api.grpc.hostnames) }}
- "gateway.gatewayApi.http.hostnames or gateway.gatewayApi.grpc.hostnames is required with gateway.gatewayApi.enabled: true."
{{- end }}
{{- range $api.grpc.hostnames }}
{{- if has . $api.http.hostnames }}
- "gateway.gatewayApi: {{ . }} is in http.hostnames and in grpc.hostnames, but a host has either an HTTPRoute or a GRPCRoute."
{{- end }}
{{- end }}
{{- end }}
{{- with $gateway.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
- "gateway.autoscaling.minReplicas: {{ .minReplicas }} is more than maxReplicas: {{ .maxReplicas }}."
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.validate.images" -}}
{{- $values := .Values -}}
{{- if eq (toString $values.image.tag) "latest" }}
- "image.tag: latest does not say what runs: set a version."
{{- end }}
{{- range $process := list "ticket" "seatmap" "checkout" "gateway" "ops" "register" "paymentSimulator" "mailSink" "test" }}
{{- if eq (toString (get $values $process).image.tag) "latest" }}
- "{{ $process }}.image.tag: latest does not say what runs: set a version."
{{- end }}
{{- end }}
{{- end -}}
