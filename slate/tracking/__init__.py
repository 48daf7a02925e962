"""Runs and releases recorded with MLflow, best effort: nothing here ever stops a run or a rollback."""
