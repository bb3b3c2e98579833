"""Real samples that a user gives: one mapping from input names to arrays, or several, each with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError, did_you_mean

Sample = tuple[str, Mapping[str, Any]]
Given = Mapping[str, Any] | Sequence[Sample]


def samples_of(given: Given | None) -> tuple[Sample, ...]:
    """All of them, in order; a single one is called "given"."""
    if given is None:
        return ()
    return (("given", given),) if isinstance(given, Mapping) else tuple(given)


def check_names(arrays: Mapping[str, Any], inputs: Sequence[str]) -> None:
    """Raises UsageError where a sample has not an array for each input, or one for none."""
    for name in arrays:
        if name not in inputs:
            raise UsageError(f"the model has no input {name!r}", help=did_you_mean(name, inputs))
    if missing := [name for name in inputs if name not in arrays]:
        raise UsageError(f"no array for the input {missing[0]!r}", help=f"give one for each of {', '.join(inputs)}")


def first_of(given: Given | None) -> Mapping[str, Any] | None:
    """The first one's arrays, for what looks at one set only."""
    return next((arrays for _, arrays in samples_of(given)), None)
