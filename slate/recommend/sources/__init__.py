"""Sources: each names candidates in its own way."""
