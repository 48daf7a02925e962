"""Other servers around the same graph, each started by its own interpreter with its own packages."""
