"""The gateway of a cluster: told through the Kubernetes API, asked through Prometheus."""
