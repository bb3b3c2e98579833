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
    found: list[Number] = []
    for depth in range(3):
        found = found or [number for number in numbers if number.spellings[depth : depth + 1] == (word,)]
    if len(found) == 1:
        return found[0]
    if found:
        paths = " or ".join(number.path for number in found)
        raise UsageError(f"'{word}' means several numbers of the target '{target}'", where=option, help=f"write {paths}")
    several = [number for number in numbers if any(spelling.rpartition(".")[0] == word for spelling in number.spellings)]
    if several and all(number.path.rpartition(".")[2].isdecimal() for number in several):
        message = f"'{word}' has {len(several)} rates, and the first that applies counts"
        raise UsageError(message, where=option, help=f"write {'; or '.join(map(_numbered, several))}")
    device, calibrated, _ = word.removeprefix("device.").partition(".calibration.")
    known = [number for number in numbers if number.path.startswith(f"device.{device}.")]
    if calibrated and known and not any(".calibration." in number.path for number in known):
        message = f"the device '{device}' of the target '{target}' has no calibration, so '{word}' cannot be set"
        raise UsageError(message, where=option, help="`autoglmc calibrate` measures one; without it the numbers of the device count")
    raise UsageError(f"the target '{target}' has no number '{word}' that can be set", where=option, help=_meant(word, numbers))


def _numbered(number: Number) -> str:
    """ "cpu.calibration.rate.Conv.1 (65 GFLOPS where attr.group > 1)"."""
    return f"{number.short} ({number.text}{f' where {number.condition}' if number.condition else ''})"


def _meant(word: str, numbers: Iterable[Number]) -> str:
    """The closest names; else those below the part of the path that is right; else how to see all."""
    names = {name: number.short for number in numbers for name in number.spellings}
    close = list(dict.fromkeys(names[name] for name in get_close_matches(word, names, n=3)))
    if close:
        return f"did you mean {' or '.join(repr(name) for name in close)}?"
    first = next((part for part in word.split(".") if part and part not in PREFIXES), "")
    below = [name for name in dict.fromkeys(names.values()) if first and name.split(".")[0] == first]
    if below:
        return f"known: {', '.join(below[:SHOWN])}{', …' if len(below) > SHOWN else ''}"
    return "`--list` shows all of them"
