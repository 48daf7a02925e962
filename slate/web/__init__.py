"""What the model server and the events endpoint have in common as servers."""
