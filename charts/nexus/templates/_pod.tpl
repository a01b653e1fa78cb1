{{/* Image of a process: its own settings before those of `image`. Given: root, block. */}}
{{- define "nexus.image" -}}
{{- $own := .block.image -}}
{{- $all := .root.Values.image -}}
{{- $repository := $own.repository | default $all.repository -}}
{{- $tag := $own.tag | default $all.tag | default .root.Chart.AppVersion -}}
{{- $digest := $own.digest -}}
{{- if not (or $own.digest $own.repository $own.tag) -}}{{- $digest = $all.digest -}}{{- end -}}
{{- if $digest -}}
{{- printf "%s@%s" $repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Environment: the chart's own, without what the user sets, then the user's. Given: own (a YAML list), user. */}}
{{- define "nexus.env" -}}
{{- $theirs := dict -}}
{{- range .user -}}{{- $_ := set $theirs .name true -}}{{- end -}}
{{- $kept := list -}}
{{- range fromYamlArray .own -}}
{{- if not (hasKey $theirs .name) -}}{{- $kept = append $kept . -}}{{- end -}}
{{- end -}}
{{- toYaml (concat $kept .user) -}}
{{- end -}}

{{/* What the restricted Pod Security standard asks of a pod. The group lets the process read Secrets that others may not. */}}
{{- define "nexus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the restricted Pod Security standard asks of a container, and a root file system that stays as it was. */}}
{{- define "nexus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Spec of a pod with one container, the same for every process.
Given: root, component, block (its values), args; optional: command, image, env (a YAML list), ports, probes, lifecycle,
mounts, volumes (YAML each), graceSeconds, serviceAccount (one whose token is mounted), isJob.
*/}}
{{- define "nexus.podSpec" -}}
{{- $values := .root.Values -}}
{{- with .serviceAccount }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ .serviceAccount | empty | not }}
# A Service named nexus-... would otherwise appear as NEXUS_... in the environment.
enableServiceLinks: false
{{- if .isJob }}
restartPolicy: Never
{{- else }}
terminationGracePeriodSeconds: {{ .graceSeconds | default 10 }}
{{- end }}
securityContext:
  {{- include "nexus.podSecurity" . | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .block.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .block.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .block.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .block.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .isJob }}
topologySpreadConstraints:
  {{- with .block.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  # Preferred, so that one node is enough.
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "nexus.componentSelector" . | nindent 8 }}
  {{- end }}
{{- end }}
containers:
  - name: {{ .component }}
    image: {{ .image | default (include "nexus.image" .) }}
    imagePullPolicy: {{ .block.image.pullPolicy | default $values.image.pullPolicy }}
    {{- with .command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- $env := include "nexus.env" (dict "own" (.env | default "[]") "user" .block.env) }}
    {{- if fromYamlArray $env }}
    env:
      {{- $env | nindent 6 }}
    {{- end }}
    {{- with .ports }}
    ports:
      {{- . | nindent 6 }}
    {{- end }}
    {{- with .probes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .lifecycle }}
    lifecycle:
      {{- . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml .block.resources | nindent 6 }}
    securityContext:
      {{- include "nexus.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- with .mounts }}
      {{- . | nindent 6 }}
      {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 128Mi
  {{- with .volumes }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Metadata of a pod template. Given: root, component, block; optional: labels (a dict). No version of the chart in it:
a new chart alone makes no new pods. */}}
{{- define "nexus.podMetadata" -}}
labels:
  {{- include "nexus.componentSelector" . | nindent 2 }}
  app.kubernetes.io/part-of: nexus
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .block.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One environment variable from a Secret. Given: name, secret, key. */}}
{{- define "nexus.envFromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}
