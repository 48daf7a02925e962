"""The search for better settings: trials on validation data, in processes of their own, one study on disk."""
