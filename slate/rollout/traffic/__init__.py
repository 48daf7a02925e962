"""What moves users between variants: a local Envoy, or a cluster's gateway."""
