"""How wide a screen is where there is no terminal to ask."""

from __future__ import annotations

import os

NARROWEST = 40


def columns_of_environment() -> int:
    """COLUMNS, or the narrowest screen there is if it says less; 0 if it is not a positive number."""
    text = os.environ.get("COLUMNS", "")
    said = int(text[:6]) if text.isascii() and text.isdigit() else 0
    return max(said, NARROWEST) if said else 0
