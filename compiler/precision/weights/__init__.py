"""Weights in fewer bits, activations in floats: which forms, how they are rounded, and what outputs lose by it."""
