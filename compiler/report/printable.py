"""Text from files that may be hostile, made safe to print."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Control characters as \\x1b, \\n …, but for those in `keep`: a name must not move the cursor or change colours."""
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()
