"""What was shown, and what users made of it."""
