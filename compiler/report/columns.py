"""How wide a screen is where there is no terminal to ask."""

from __future__ import annotations

import os

NARROWEST = 40


def columns_of_environment() -> int:
    """COLUMNS, if it is a width that a screen can have; else 0."""
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and NARROWEST <= int(text[:6]) else 0
