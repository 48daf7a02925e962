"""Functions of trained models in the form that is served: compiled for LiteRT, called without TensorFlow."""
