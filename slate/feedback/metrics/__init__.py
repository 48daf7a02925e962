"""What users make of what they are shown, measured from the log."""
