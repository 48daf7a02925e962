"""How fast a release is served: this server beside others, under one open load."""
