"""tfgen: a Keras and TensorFlow zoo of generative models for sequences."""

__version__ = "0.1.0"
