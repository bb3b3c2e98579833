"""Large weights that stay in the files they lie in."""
