"""Arrays of tokens, cut and filled up to what one run takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...devices.views import numpy_dtype
from ...errors import UsageError
from .entry_run import EntryRun


def part_of(array: Any, axis: int | None, begin: int, end: int, size: int) -> Any:
    """Tokens of the array from `begin` to `end`, filled up to `size` with the last of them."""
    import numpy

    if axis is None:
        return array
    return numpy.take(array, [min(k, end - 1) for k in range(begin, begin + size)], axis=axis)


def fill_up(view: Any, axis: int, tokens: int) -> None:
    """The same in place, where the first `tokens` are there already. What lies behind them may be NaN from another step, which a run
    would spread: it multiplies by zero what a token does not see."""
    lead = (slice(None),) * axis
    view[(*lead, slice(tokens, None))] = view[(*lead, slice(tokens - 1, tokens))]


def first_of(array: Any, axis: int | None, tokens: int) -> Any:
    """The first tokens; the array where it has none."""
    return array if axis is None else array[(slice(None),) * axis + (slice(0, tokens),)]


def filled_up(run: EntryRun, inputs: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Inputs of one run that takes `tokens` tokens or more, filled up where they have fewer. Raises UsageError for other shapes or dtypes;
    what is missing or unknown is left to the run."""
    import numpy

    axes, found = run.record.token_axes, {}
    for name, value in inputs.items():
        array, axis = numpy.asarray(value), axes.get(name)
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
