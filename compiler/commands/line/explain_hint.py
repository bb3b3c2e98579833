"""The last line below the messages about a .hw file: how to learn more about their codes."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 5
"""Codes named in the line."""


def explain_hint(codes: Iterable[str]) -> str:
    """One line for all codes of the messages above it; each is named once, in their order."""
    named = list(dict.fromkeys(codes))
    if len(named) == 1:
        return f"help: `autoglmc check --explain {named[0]}` explains this code"
    more = ", …" if len(named) > MOST else ""
    return f"help: `autoglmc check --explain CODE` explains a code: {', '.join(named[:MOST])}{more}"
