{{/* Puts the release's names in place of those that the alerts and the dashboard are written and tested with. */}}
{{- define "nexus.monitoring.ofRelease" -}}
{{- .text | replace "NAMESPACE" .root.Release.Namespace | replace "RELEASE" .root.Release.Name | replace "FULLNAME" (include "nexus.fullname" .root) -}}
{{- end -}}

{{/* Labels every number with the release, the component and, for endpoints, the version: alerts select by these. */}}
{{- define "nexus.monitoring.relabelings" -}}
- sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_instance]
  targetLabel: release
- sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_component]
  targetLabel: component
- sourceLabels: [__meta_kubernetes_pod_label_nexus_dev_version]
  targetLabel: version
{{- end -}}
