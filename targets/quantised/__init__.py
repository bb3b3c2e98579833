"""Operators in integers: how tensors are quantised, and in which forms a device runs an operator."""
