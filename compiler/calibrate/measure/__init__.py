"""Measure segments on the runtimes that are here: time by operator, time of a whole run, private memory."""
