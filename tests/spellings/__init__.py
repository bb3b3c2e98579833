"""Random spellings of what every rule matches, and the random graphs that they stand in."""
