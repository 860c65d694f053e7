{{- /* The version of the gateway's image. */ -}}
{{- define "sluice.tag" -}}
{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- /* Labels of every object. sluice uninstall finds by the first two what belongs to a release. */ -}}
{{- define "sluice.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: sluice-gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- /* Labels by which the Service and the workload know the pods; they must never change. */ -}}
{{- define "sluice.selector" -}}
{{ toYaml .Values.labels }}
{{- end -}}

{{- define "sluice.serviceAccount" -}}
{{ default .Values.name .Values.serviceAccount.name }}
{{- end -}}

{{- /* Names of objects that belong to no namespace: releases in two of them may have the same name. */ -}}
{{- define "sluice.clusterName" -}}
{{ printf "%s-%s" .Values.name .Release.Namespace }}
{{- end -}}

{{- /* Arguments of sluice-gateway. Numbers may be floating-point ones: values come as JSON. */ -}}
{{- define "sluice.args" -}}
- --kube
- --namespace=$(POD_NAMESPACE)
{{- range $name, $value := .Values.labels }}
- {{ printf "--labels=%s=%s" $name $value | quote }}
{{- end }}
- {{ printf "--status=:%d" (int64 .Values.statusPort) | quote }}
{{- if .Values.metrics.enabled }}
- {{ printf "--metrics=:%d" (int64 .Values.metrics.port) | quote }}
{{- end }}
- {{ printf "--lame-duck=%ds" (int64 .Values.shutdown.lameDuckSeconds) | quote }}
- {{ printf "--drain=%ds" (int64 .Values.shutdown.drainSeconds) | quote }}
{{- if .Values.snapshot.enabled }}
- --snapshot=/var/lib/sluice/snapshot
{{- end }}
{{- range .Values.watchNamespaces }}
- {{ printf "--watch-namespaces=%s" . | quote }}
{{- end }}
{{- if not .Values.rbac.status }}
- --status-writing=false
{{- end }}
{{- if .Values.ingressClass.enabled }}
- {{ printf "--ingress-class=%s" .Values.ingressClass.name | quote }}
{{- end }}
{{- range $name, $value := .Values.flags }}
{{- if kindIs "slice" $value }}
{{- range $value }}
- {{ printf "--%s=%v" $name . | quote }}
{{- end }}
{{- else if kindIs "map" $value }}
{{- range $key, $one := $value }}
- {{ printf "--%s=%s=%v" $name $key $one | quote }}
{{- end }}
{{- else if kindIs "float64" $value }}
- {{ printf "--%s=%d" $name (int64 $value) | quote }}
{{- else if not (kindIs "invalid" $value) }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The pod of the Deployment or DaemonSet. */ -}}
{{- define "sluice.pod" -}}
metadata:
  labels:
    {{- include "sluice.labels" . | nindent 4 }}
    {{- include "sluice.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The gateway is no workload of a mesh.
    sidecar.istio.io/inject: "false"
    {{- if and .Values.metrics.enabled .Values.metrics.annotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ int64 .Values.metrics.port | quote }}
    prometheus.io/path: /stats/prometheus
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "sluice.serviceAccount" . }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  terminationGracePeriodSeconds: {{ add .Values.shutdown.lameDuckSeconds .Values.shutdown.drainSeconds .Values.shutdown.marginSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
    {{- if and .Values.unprivilegedPorts (not .Values.hostNetwork) }}
    sysctls:
    - name: net.ipv4.ip_unprivileged_port_start
      value: "0"
    {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: {{ default "ClusterFirstWithHostNet" .Values.dnsPolicy }}
  {{- else if .Values.dnsPolicy }}
  dnsPolicy: {{ .Values.dnsPolicy }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and .Values.topologySpread.enabled (eq .Values.kind "Deployment") }}
  topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sluice.selector" $ | nindent 8 }}
    # A rollout spreads the new pods, whatever the old ones do.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- with .Values.topologySpread.constraints }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
  containers:
  - name: gateway
    image: {{ printf "%s:%s" .Values.image.repository (include "sluice.tag" .) | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
    {{- include "sluice.args" . | nindent 4 }}
    env:
    - name: POD_NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: NODE_NAME
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    {{- with .Values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    ports:
    {{- range .Values.service.ports }}
    - name: {{ .name }}
      containerPort: {{ default .port .targetPort | int64 }}
      protocol: {{ default "TCP" .protocol }}
      {{- if .hostPort }}
      hostPort: {{ int64 .hostPort }}
      {{- end }}
    {{- end }}
    - name: status
      containerPort: {{ int64 .Values.statusPort }}
      protocol: TCP
    {{- if .Values.metrics.enabled }}
    - name: metrics
      containerPort: {{ int64 .Values.metrics.port }}
      protocol: TCP
    {{- end }}
    startupProbe:
      httpGet:
        path: /healthz/live
        port: status
      periodSeconds: 1
      failureThreshold: 30
    readinessProbe:
      httpGet:
        path: /healthz/ready
        port: status
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 2
    livenessProbe:
      httpGet:
        path: /healthz/live
        port: status
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    {{- with .Values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    {{- if or .Values.snapshot.enabled .Values.volumeMounts }}
    volumeMounts:
    {{- if .Values.snapshot.enabled }}
    - name: snapshot
      mountPath: /var/lib/sluice
    {{- end }}
    {{- with .Values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
  {{- if or .Values.snapshot.enabled .Values.volumes }}
  volumes:
  {{- if .Values.snapshot.enabled }}
  - name: snapshot
    emptyDir:
      sizeLimit: {{ .Values.snapshot.sizeLimit }}
  {{- end }}
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end -}}
