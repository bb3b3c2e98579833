"""Screens of many plans: along a sweep, beside other numbers, on a front."""
