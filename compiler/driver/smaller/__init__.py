"""Compilations of a model that is made smaller first: in fewer bits, or of fewer channels."""
