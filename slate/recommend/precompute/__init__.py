"""Slates computed ahead: for many users at once, by the stages that answer requests."""
