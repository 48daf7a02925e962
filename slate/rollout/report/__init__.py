"""One rollout as a page that a person would look at: what was decided and why, and how it came to that."""
