"""Common slips in a statement, from other languages or from haste, and the help for each."""

from __future__ import annotations

from ..text.syntax import Arg
from .properties import PROPERTIES

NOT_FILLED_IN = "`?` marks a value that is not filled in yet"


def habit(head: Arg, args: tuple[Arg, ...], at: int) -> str:
    """Help for the unexpected argument `args[at]`; "" if there is none."""
    arg, before = args[at], args[at - 1] if at else head
    after = args[at + 1] if at + 1 < len(args) else None
    if arg.text in ("=", ":"):
        return f"properties are written without `{arg.text}`"
    if arg.kind == "provenance":
        return "provenance follows its number directly"
    if arg.text == "?":
        return NOT_FILLED_IN
    if arg.text == "-" and before.kind == "number" and after is not None and after.kind == "number":
        return f"a range is written `{before.text}..{after.text}`"
    if arg.text == "," and before.kind == "number" and after is not None and after.kind == "number":
        return f"use a decimal point: `{before.text}.{after.text}`"
    if head.text == "device" and arg.kind == "word" and at == 1:
        return f"write `device {before.text} : {arg.text}`"
    if arg.text in ("or", "and") and "->" in [other.text for other in args]:
        return "alternatives of a kernel are separated by `|`"
    names_follow = any(rows[head.text].listed for rows in PROPERTIES.values() if head.text in rows)  # `shared npu cpu`
    listed = names_follow or head.text[:1].isupper()  # `Relu Tanh`
    if arg.kind == "word" and before.kind == "word" and listed and (before is not head or not names_follow):
        return f"a comma is missing: `{before.text}, {arg.text}`"
    return ""
