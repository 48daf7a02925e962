"""A recommender under load: stages with deadlines, a ladder below them, releases swapped while it answers."""
