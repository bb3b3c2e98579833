"""Which number of a target a path means, in any of its spellings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ..errors import UsageError
from .number import PREFIXES, Number

SHOWN = 8
"""Numbers that an error lists."""


def find_number(word: str, numbers: Sequence[Number], option: str, target: str) -> Number:
    """The number of a whole path, or of one without its first word where only one is meant: `npu.dispatch`, `latency`.

    Raises UsageError for a path that means none, or several; `option` is where it was given, `target` the target's name."""
    found = [number for number in numbers if number.path == word] or [number for number in numbers if number.short == word]
    if len(found) == 1:
        return found[0]
    if found:
        paths = " or ".join(number.path for number in found)
        raise UsageError(f"'{word}' means several numbers of the target '{target}'", where=option, help=f"write {paths}")
    if "calibration" in word.split("."):
        message = f"'{word}' was measured together with the rest of its calibration, and cannot be set alone"
        raise UsageError(message, where=option, help="change the calibration in the file, or calibrate again")
    raise UsageError(f"the target '{target}' has no number '{word}' that can be set", where=option, help=_meant(word, numbers))


def _meant(word: str, numbers: Iterable[Number]) -> str:
    """The closest names; else those below the part of the path that is right; else how to see all."""
    names = {name: number.short for number in numbers for name in (number.path, number.short)}
    close = list(dict.fromkeys(names[name] for name in get_close_matches(word, names, n=3)))
    if close:
        return f"did you mean {' or '.join(repr(name) for name in close)}?"
    first = next((part for part in word.split(".") if part and part not in PREFIXES), "")
    below = [name for name in dict.fromkeys(names.values()) if first and name.split(".")[0] == first]
    if below:
        return f"known: {', '.join(below[:SHOWN])}{', …' if len(below) > SHOWN else ''}"
    return "`--list` shows all of them"
