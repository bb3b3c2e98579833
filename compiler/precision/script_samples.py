"""`script.py:function`: samples that a function of the user's yields."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ..errors import UserError, first_line
from ..own_script import function_of, import_script, place_of

SPELLING = "--calibration-data FILE.py:FUNCTION"


def is_script(words: str) -> bool:
    """Whether the words name a function of a Python file."""
    file, colon, name = words.rpartition(":")
    return bool(colon) and file.endswith(".py") and name.isidentifier()


def script_samples(words: str) -> Callable[[], Iterator[tuple[str, Any]]]:
    """Gives (place, sample) from the first on, by a call of the user's function each time. Raises UsageError for a file or function that
    is not there, UserError where either raises, or returns nothing to iterate over."""
    path, _, name = words.rpartition(":")
    file = Path(path)
    function = function_of(import_script(file, SPELLING), file, name, SPELLING)
    return lambda: _called(function, file, words)


def _called(function: Callable[[], Any], file: Path, words: str) -> Iterator[tuple[str, Any]]:
    found = _asked(function, file, words)
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes, dict)):
        help = "yield a dict of arrays for each sample"
        raise UserError(f"{words} gave no samples, but {type(found).__name__}", where=str(file), help=help)
    samples = iter(found)
    number = 0
    while True:
        number += 1
        sample = _asked(lambda: next(samples, _END), file, words, f", for sample {number}")
        if sample is _END:
            return
        yield f"sample {number} of {words}", sample


_END = object()


def _asked(step: Callable[[], Any], file: Path, words: str, when: str = "") -> Any:
    try:
        with redirect_stdout(sys.stderr):  # stdout is the result's
            return step()
    except (Exception, SystemExit) as problem:  # whatever the function raises is its own
        told = f"{type(problem).__name__}: {first_line(problem)}" if isinstance(problem, Exception) else "exits"
        raise UserError(f"{words} failed{when}: {told}", where=place_of(problem, str(file)) or str(file)) from problem
