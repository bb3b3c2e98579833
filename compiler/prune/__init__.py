"""Pruning by magnitude: what was asked for, which layers it is about, how much of each goes, and what it brings."""
