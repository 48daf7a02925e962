"""The gateway of one machine: the real Envoy, told through a file and asked through its administration."""
