"""Judging the models of a bundle together, as links join them."""
