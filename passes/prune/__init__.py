"""Channels and heads that can be taken out of a graph: what hangs together, how large it is, and the graph without it."""
