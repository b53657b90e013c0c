"""How to draw from a model: random numbers, token filters and the decoding loop."""
