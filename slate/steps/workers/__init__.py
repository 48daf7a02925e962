"""Training on several pods of a cluster: the job, what goes in and out of it, and who waits for it."""
