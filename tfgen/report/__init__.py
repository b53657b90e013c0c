"""Pictures, tables and pages that people look at. Imports no TensorFlow."""
