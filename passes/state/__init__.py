"""A graph whose cache grows with every run, as one whose cache has a fixed length and is written at a position."""
