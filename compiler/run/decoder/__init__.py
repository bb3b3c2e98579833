"""A decoder step by step: its session, its caches, and the tokens that it makes."""
