"""Inputs of one run, filled up to the tokens that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...devices.views import numpy_dtype
from ...errors import UsageError
from ...inputs.token_parts import part_of
from ..check_inputs import array_of
from .entry_run import EntryRun


def fill_up(view: Any, axis: int, tokens: int) -> None:
    """Fills rows up in place with the last of the first `tokens`, which are there already. What lies behind them may be NaN from another
    step, which a run would spread: it multiplies by zero what a token does not see."""
    lead = (slice(None),) * axis
    view[(*lead, slice(tokens, None))] = view[(*lead, slice(tokens - 1, tokens))]


def filled_up(run: EntryRun, inputs: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Inputs of one run that takes `tokens` tokens or more, filled up where they have fewer. Raises UsageError for other shapes or dtypes;
    what is missing or unknown is left to the run."""
    axes, found = run.record.token_axes, {}
    for name, value in inputs.items():
        array, axis = array_of(name, value), axes.get(name)
        wanted = run.inputs.get(name)
        if wanted is not None and axis is not None:
            shape = [tokens if k == axis else extent for k, extent in enumerate(wanted.shape or ())]
            if array.dtype != numpy_dtype(wanted.dtype) or list(array.shape) != shape or not 0 < tokens <= run.tokens:
                asked = f"{numpy_dtype(wanted.dtype)}{['tokens' if k == axis else n for k, n in enumerate(wanted.shape or ())]}"
                what = f"input {name!r} is {array.dtype}{list(array.shape)}, '{run.record.name}' takes {asked}"
                raise UsageError(what, help=f"from 1 to {run.tokens} tokens at once")
            array = part_of(array, axis, 0, tokens, run.tokens)
        found[name] = array
    return found
