"""The four stages over one release: retrieve, filter, score, order."""
