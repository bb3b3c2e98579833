"""Profiles from devices that are not here: a documented CSV, and what other tools write turned into it."""
