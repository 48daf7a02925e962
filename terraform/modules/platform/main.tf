locals {
  selector = { "slate.dev/pool" = var.system_pool }
}

resource "helm_release" "cert_manager" {
  name             = "cert-manager"
  namespace        = "cert-manager"
  create_namespace = true
  repository       = "oci://quay.io/jetstack/charts"
  chart            = "cert-manager"
  version          = var.versions.cert_manager
  atomic           = true
  timeout          = 600

  values = [yamlencode({
    crds         = { enabled = true, keep = true }
    nodeSelector = local.selector
  })]
}

# Brings the Gateway API's own resource definitions too.
resource "helm_release" "envoy_gateway" {
  name             = "envoy-gateway"
  namespace        = "envoy-gateway-system"
  create_namespace = true
  repository       = "oci://docker.io/envoyproxy"
  chart            = "gateway-helm"
  version          = var.versions.envoy_gateway
  atomic           = true
  timeout          = 600

  values = [yamlencode({
    config = {
      envoyGateway = {
        # The assignment of users to variants is a Lua filter (k8s/base/gateway/assign.lua).
        extensionApis = { enableLua = true }
      }
    }
    deployment = { replicas = 2 }
  })]

  depends_on = [helm_release.cert_manager]
}

# Scales servers by the requests that they hold (k8s/options/in-flight).
resource "helm_release" "keda" {
  count = var.prometheus ? 1 : 0

  name             = "keda"
  namespace        = "keda"
  create_namespace = true
  repository       = "https://kedacore.github.io/charts"
  chart            = "keda"
  version          = var.versions.keda
  atomic           = true
  timeout          = 600

  values = [yamlencode({ nodeSelector = local.selector })]
}

resource "helm_release" "kserve_crd" {
  name             = "kserve-crd"
  namespace        = "kserve"
  create_namespace = true
  repository       = "oci://ghcr.io/kserve/charts"
  chart            = "kserve-crd"
  version          = var.versions.kserve
  atomic           = true
  timeout          = 600

  depends_on = [helm_release.envoy_gateway]
}

resource "helm_release" "kserve" {
  name       = "kserve"
  namespace  = "kserve"
  repository = "oci://ghcr.io/kserve/charts"
  chart      = "kserve-resources"
  version    = var.versions.kserve
  atomic     = true
  timeout    = 600

  values = [yamlencode({
    kserve = {
      controller = {
        deploymentMode = "Standard"
        nodeSelector   = local.selector
        gateway = {
          # Slate's own HTTPRoute carries the traffic (k8s/base/gateway): KServe makes none to the outside.
          disableIngressCreation = true
          ingressGateway         = { enableGatewayApi = true }
        }
      }
    }
  })]

  # KServe looks once, when it starts, whether there are ScaledObjects to be made.
  depends_on = [helm_release.kserve_crd, helm_release.keda]
}

resource "helm_release" "pipelines" {
  count = var.pipelines == null ? 0 : 1

  name             = "pipelines"
  namespace        = "kubeflow"
  create_namespace = true
  repository       = var.pipelines.repository
  chart            = var.pipelines.chart
  version          = var.pipelines.version
  atomic           = true
  timeout          = 900

  depends_on = [helm_release.cert_manager]
}

resource "helm_release" "prometheus" {
  count = var.prometheus ? 1 : 0

  name             = "prometheus"
  namespace        = "monitoring"
  create_namespace = true
  repository       = "oci://ghcr.io/prometheus-community/charts"
  chart            = "kube-prometheus-stack"
  version          = var.versions.prometheus
  atomic           = true
  timeout          = 900

  values = [yamlencode({
    # Rules, monitors and dashboards of every namespace are read, not only of this chart.
    prometheus = { prometheusSpec = {
      podMonitorSelectorNilUsesHelmValues     = false
      serviceMonitorSelectorNilUsesHelmValues = false
      ruleSelectorNilUsesHelmValues           = false
      retention                               = "15d"
    } }
    grafana = { sidecar = { dashboards = { searchNamespace = "ALL" } } }
  })]
}
