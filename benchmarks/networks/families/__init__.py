"""Makers of networks, a file for each kind; each takes a name, from which its weights are drawn."""
