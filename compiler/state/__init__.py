"""Decoders: which inputs are caches, and models of their steps with caches of fixed length."""
