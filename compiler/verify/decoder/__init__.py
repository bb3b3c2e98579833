"""Judging the bundle of a decoder step by step."""
