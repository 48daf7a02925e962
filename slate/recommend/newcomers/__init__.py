"""Items that a release does not know: found by their content, beside its own."""
