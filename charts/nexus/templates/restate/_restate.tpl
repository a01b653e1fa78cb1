{{/* A share of the memory limit in bytes. Given: limit (a quantity such as 1Gi), percent. */}}
{{- define "nexus.restate.share" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $number := regexFind "^[0-9.]+" .limit | float64 -}}
{{- $unit := get $units (regexFind "[A-Za-z]*$" .limit) -}}
{{- divf (mulf $number $unit .percent) 100 | int64 -}}
{{- end -}}

{{/* Where the nodes find each other, as a JSON list. */}}
{{- define "nexus.restate.addresses" -}}
{{- $root := . -}}
{{- $addresses := list -}}
{{- range $number := until (int .Values.restate.replicas) -}}
{{- $addresses = append $addresses (printf "http://%s-restate-%d.%s:5122" (include "nexus.fullname" $root) $number (include "nexus.restate.domain" $root)) -}}
{{- end -}}
{{- toJson $addresses -}}
{{- end -}}

{{- define "nexus.restate.domain" -}}
{{- printf "%s-restate-nodes.%s.svc.%s" (include "nexus.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{/* How many nodes hold each record: one more than may be lost. */}}
{{- define "nexus.restate.replication" -}}
{{- div (int .Values.restate.replicas) 2 | add1 -}}
{{- end -}}

{{- define "nexus.restate.env" -}}
{{- $restate := .Values.restate -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: RESTATE_CLUSTER_NAME
  value: {{ include "nexus.fullname" . }}
- name: RESTATE_NODE_NAME
  value: $(POD_NAME)
- name: RESTATE_BASE_DIR
  value: /restate-data
- name: RESTATE_BIND_ADDRESS
  value: 0.0.0.0:5122
- name: RESTATE_INGRESS__BIND_ADDRESS
  value: 0.0.0.0:8080
- name: RESTATE_ADMIN__BIND_ADDRESS
  value: 0.0.0.0:9070
- name: RESTATE_DEFAULT_NUM_PARTITIONS
  value: {{ $restate.partitions | quote }}
{{- if eq (int $restate.replicas) 1 }}
- name: RESTATE_AUTO_PROVISION
  value: "true"
# It talks to itself alone, also while the cluster's DNS still has the address of the pod before.
- name: RESTATE_ADVERTISED_ADDRESS
  value: http://127.0.0.1:5122
{{- else }}
- name: RESTATE_AUTO_PROVISION
  value: "false"
- name: RESTATE_ADVERTISED_ADDRESS
  value: http://$(POD_NAME).{{ include "nexus.restate.domain" . }}:5122
- name: RESTATE_METADATA_CLIENT__ADDRESSES
  value: {{ include "nexus.restate.addresses" . | quote }}
- name: RESTATE_DEFAULT_REPLICATION
  value: {{ include "nexus.restate.replication" . | quote }}
{{- end }}
- name: RESTATE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE
  value: /etc/restate/identity/identity.pem
# Shares of the memory limit; the rest is for what has no bound of its own.
- name: RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE
  value: {{ include "nexus.restate.share" (dict "limit" $restate.resources.limits.memory "percent" 35) | quote }}
- name: RESTATE_WORKER__INVOKER__MEMORY_LIMIT
  value: {{ include "nexus.restate.share" (dict "limit" $restate.resources.limits.memory "percent" 20) | quote }}
- name: RESTATE_ADMIN__QUERY_ENGINE__MEMORY_SIZE
  value: {{ include "nexus.restate.share" (dict "limit" $restate.resources.limits.memory "percent" 15) | quote }}
- name: RESTATE_BIFROST__RECORD_CACHE_MEMORY_SIZE
  value: {{ include "nexus.restate.share" (dict "limit" $restate.resources.limits.memory "percent" 5) | quote }}
- name: RESTATE_DISABLE_TELEMETRY
  value: "true"
- name: RESTATE_LOG_FORMAT
  value: json
- name: RESTATE_LOG_DISABLE_ANSI_CODES
  value: "true"
{{- with .Values.otlp.endpoint }}
# OTLP/HTTP has a scheme of its own here. Source: Restate's documentation, "Tracing".
- name: RESTATE_TRACING_ENDPOINT
  value: {{ printf "otlp+%s/v1/traces" (trimSuffix "/" .) | quote }}
{{- end }}
{{- if $restate.snapshots.destination }}
{{ include "nexus.restate.snapshots" $restate.snapshots }}
{{- end }}
{{- end -}}

{{- define "nexus.restate.snapshots" -}}
- name: RESTATE_WORKER__SNAPSHOTS__DESTINATION
  value: {{ .destination | quote }}
- name: RESTATE_WORKER__SNAPSHOTS__SNAPSHOT_INTERVAL_NUM_RECORDS
  value: {{ .everyRecords | int64 | quote }}
{{- with .region }}
- name: RESTATE_WORKER__SNAPSHOTS__AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .endpointUrl }}
- name: RESTATE_WORKER__SNAPSHOTS__AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- if hasPrefix "http://" . }}
- name: RESTATE_WORKER__SNAPSHOTS__AWS_ALLOW_HTTP
  value: "true"
{{- end }}
{{- end }}
{{- with .existingSecret }}
{{ include "nexus.envFromSecret" (dict "name" "RESTATE_WORKER__SNAPSHOTS__AWS_ACCESS_KEY_ID" "secret" . "key" "access-key-id") }}
{{ include "nexus.envFromSecret" (dict "name" "RESTATE_WORKER__SNAPSHOTS__AWS_SECRET_ACCESS_KEY" "secret" . "key" "secret-access-key") }}
{{- end }}
{{- end -}}

{{- define "nexus.restate.ports" -}}
- name: ingress
  containerPort: 8080
- name: admin
  containerPort: 9070
- name: node
  containerPort: 5122
{{- end -}}

{{/* Started: the log is read again, however long that takes. Alive: the process, not the cluster, or one node that is lost
would restart the others. */}}
{{- define "nexus.restate.probes" -}}
startupProbe:
  httpGet: {path: /restate/health, port: ingress}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 900
readinessProbe:
  httpGet: {path: /restate/health, port: ingress}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  tcpSocket: {port: node}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "nexus.restate.mounts" -}}
- name: data
  mountPath: /restate-data
- name: identity
  mountPath: /etc/restate/identity
  readOnly: true
{{- end -}}

{{- define "nexus.restate.volumes" -}}
- name: identity
  secret:
    secretName: {{ include "nexus.identitySecret" . }}
    # For its own user alone; fsGroup, which a non-root process needs to read it, adds its group.
    defaultMode: 0400
    items:
      - key: identity.pem
        path: identity.pem
{{- end -}}

{{/* Several nodes are made one cluster by the first, once all of them say that they are in none: a first node that lost
its volume must join the others, never found a second cluster. In the pod itself, so that `helm install --wait` works and
nobody else needs the node port. Decided by words, since restatectl ends with 0 also where it could not provision. */}}
{{- define "nexus.restate.command" -}}
- /bin/sh
- -c
- |
  if [ "$POD_NAME" = "{{ include "nexus.fullname" . }}-restate-0" ]; then
    (
      for attempt in $(seq 600); do
        restatectl -S http://127.0.0.1:5122 nodes list >/dev/null 2>&1 && exit
        free=0
        for node in{{ range include "nexus.restate.addresses" . | fromJsonArray }} {{ . }}{{ end }}; do
          case "$(restatectl -S $node nodes list 2>&1)" in *"not be provisioned"*) free=$((free + 1)) ;; esac
        done
        if [ $free -eq {{ .Values.restate.replicas }} ]; then
          restatectl --address http://127.0.0.1:5122 provision --yes \
            --replication {{ include "nexus.restate.replication" . }} --num-partitions {{ .Values.restate.partitions }}
        fi
        sleep 1
      done
    ) &
  fi
  exec restate-server
{{- end -}}

{{- define "nexus.restate.image" -}}
{{- $image := .Values.restate.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository $image.tag -}}
{{- end -}}
{{- end -}}
