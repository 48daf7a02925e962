"""What sources of candidates need besides the two-tower model, computed when a release is assembled."""
