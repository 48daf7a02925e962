bucket = "slate-example-prod-state"
prefix = "slate/prod"
