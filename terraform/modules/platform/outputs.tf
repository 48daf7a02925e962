output "namespaces" {
  description = "The namespaces of what was installed, which NetworkPolicies name."
  value = {
    gateway    = helm_release.envoy_gateway.namespace
    kserve     = helm_release.kserve.namespace
    monitoring = one(helm_release.prometheus[*].namespace)
  }
}
