"""Users with known tastes, who meet a rollout over HTTP: what is true of it is known beforehand."""
