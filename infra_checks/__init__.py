"""Checks of `terraform/` and `k8s/` that need neither a cloud, nor a cluster, nor a provider's plugin."""
