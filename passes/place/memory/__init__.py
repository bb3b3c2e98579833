"""Placement where a device has several memories: what may lie where, and what that saves."""
