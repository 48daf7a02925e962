"""From scored candidates to an ordered slate."""
