"""What a rollout's figures mean: statistics that may be looked at as often as one likes, and decisions."""
