"""`--pass surgery.py:function@point`: from the words of the command line to passes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..own_script import function_of, import_script
from .user_pass import DEFAULT_POINT, POINTS, UserPass, check_point

SPELLING = "--pass FILE.py:FUNCTION, or --pass FILE.py:FUNCTION@POINT"


def load_passes(words: Sequence[str]) -> tuple[UserPass, ...]:
    """A pass for each word, in order; a file is imported once, with its folder on sys.path meanwhile.

    Raises UsageError for a wrong word, file, function, point or contract, UserError where the file does not import."""
    parsed = [_parse(word) for word in words]
    modules = {file: import_script(file, SPELLING) for file in dict.fromkeys(file for file, _, _ in parsed)}
    return tuple(UserPass(function_of(modules[file], file, name, SPELLING), point) for file, name, point in parsed)


def _parse(word: str) -> tuple[Path, str, str]:
    """File, function, point."""
    file, colon, rest = word.rpartition(":")
    name, at, point = rest.partition("@")
    if not colon or not file or not name.isidentifier():
        raise UsageError(f"--pass {word}: this names no function of a file", help=SPELLING)
    if at and not point:
        raise UsageError(f"--pass {word}: there is no point behind the @", help=f"the points: {', '.join(POINTS)}")
    check_point(point or DEFAULT_POINT)
    return Path(file), name, point or DEFAULT_POINT
