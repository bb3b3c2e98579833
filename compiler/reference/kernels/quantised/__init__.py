"""Kernels of quantised tensors."""
