"""Models of sequences of numbers: time series, pen strokes, sound."""
