"""`--accuracy script.py:function`: a number that a function of the user's makes of the bundle's own run, and of the float model's.

    def score(run): ...             # called with the float model, then with the bundle; a number, or one for each sample
    def likeness(bundle, model): ...  # or called once, with both

`run({"input": array})` gives a dict of arrays by the names of the outputs.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from ..activity import MORE_TIME, Line, TimeLimit, unwatched_seconds
from ..errors import UsageError, UserError, first_line
from ..own_script import function_of, import_script, place_of

SPELLING = "--accuracy 'FILE.py:FUNCTION >= NUMBER'"
RETURNS = "it returns a number, or one for each sample: `return numpy.mean(right)`, `return right`"
Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Score:
    """What a function returned."""

    values: tuple[float, ...]
    """One number; or one for each sample, in an order that is the same every time."""

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True)
class AccuracyScript:
    """A function of the user's, imported."""

    words: str
    file: Path
    function: Callable[..., Any]
    takes_both: bool

    def score(self, *runs: Run) -> Score:
        """Of one way to run the model; or of the bundle's and the float model's, where it takes both. Raises UserError where it fails or
        returns no number; ended from outside where it hangs between two runs."""
        watch = _Watch(f"{self.words}, between two runs of the model,")
        try:
            with redirect_stdout(sys.stderr), watch:  # stdout is the result's
                found = self.function(*(watch.beside(run) for run in runs))
        except TimeLimit:
            raise
        except (Exception, SystemExit) as problem:  # whatever the function raises is its own
            raise self._failed(problem) from problem
        return self._checked(found)

    def _failed(self, problem: Exception | SystemExit) -> UserError:
        told = "exits" if isinstance(problem, SystemExit) else f"{type(problem).__name__}: {first_line(problem)}"
        told, help = (problem.message, problem.help) if isinstance(problem, UserError) else (told, "")
        return UserError(f"{self.words} failed: {told}", where=place_of(problem, str(self.file)) or str(self.file), help=help)

    def _checked(self, found: Any) -> Score:
        import numpy as np

        try:
            array = np.asarray(found)
            plain = array.dtype.kind in "fiu" and array.ndim <= 1 and array.size > 0
            values = tuple(float(value) for value in np.atleast_1d(array)) if plain else ()
        except (TypeError, ValueError, OverflowError):  # a ragged list
            values = ()
        if not values:
            message = f"{self.words} returned no number, but {_named(found)}"
            raise UserError(message, where=str(self.file), help=RETURNS)
        if not all(map(math.isfinite, values)):
            wrong = next(value for value in values if not math.isfinite(value))
            raise UserError(f"{self.words} returned {wrong}, which is no number to compare", where=str(self.file), help=RETURNS)
        return Score(values)


def accuracy_script(words: str) -> AccuracyScript:
    """`score.py:score`. Raises UsageError for a file or function that is not there, or takes neither one nor two arguments; UserError
    where the file does not import."""
    path, _, name = words.rpartition(":")
    file = Path(path)
    function = function_of(import_script(file, SPELLING), file, name, SPELLING)
    number = _parameters(function)
    if number not in (1, 2):
        help = f"def {name}(run): run({{'input': array}}) gives the outputs by name; or def {name}(bundle, model)"
        raise UsageError(f"'{name}' in {file} takes {number} arguments, and one or two are given", help=help)
    return AccuracyScript(words, file, function, number == 2)


def _parameters(function: Callable[..., Any]) -> int:
    """Positional ones that have to be given; 1 where that is not known, or any number may be."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = sum(one.default is one.empty for one in positional)
    return needed or min(len(positional), 1) or int(any(one.kind == one.VAR_POSITIONAL for one in parameters))


def _named(value: Any) -> str:
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{f' of shape {list(shape)}' if isinstance(shape, tuple) and shape else ''}"


class _Watch:
    """Time counts from one run of the model to the next: a long evaluation is no hanging one. Where nobody watches, it is looked at when
    the next run begins."""

    def __init__(self, text: str) -> None:
        self._text, self._line, self._begun = text, Line(text), 0.0

    def __enter__(self) -> None:
        self._line.begin()
        self._begun = monotonic()

    def __exit__(self, *failure: object) -> None:
        self._line.numbers[self._line.at] = 0
        most = unwatched_seconds()
        if most is not None and monotonic() - self._begun > most and failure[0] is None:
            raise TimeLimit(f"{self._text} took more than {most:g} s", help=MORE_TIME)

    def beside(self, run: Run) -> Run:
        def watched(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
            self.__exit__(None, None, None)
            try:
                return dict(run(inputs))
            finally:
                self.__enter__()

        return watched
