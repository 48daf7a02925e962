bucket = "slate-example-dev-state"
prefix = "slate/dev"
