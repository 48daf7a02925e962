"""Filters: each a reason for which a candidate may not be shown."""
