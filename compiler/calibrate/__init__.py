"""Measured times of operators and models to the rates of a target: measure, read profiles, fit, hold out, write."""
