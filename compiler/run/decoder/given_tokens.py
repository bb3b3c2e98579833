"""What a caller gives to a step of a decoder, checked: arrays of as many tokens each, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

from ...bundle.manifest import EntryRecord
from ...bundle.plan_records import ValueRecord
from ...devices.views import numpy_dtype
from ...errors import UsageError
from ...quantities import count
from ..check_inputs import array_of, check_mapping


def given_tokens(record: EntryRecord, wanted: Mapping[str, ValueRecord], inputs: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The inputs of a step as arrays, and how many tokens they are; wanted: those of the entry, by name. Raises UsageError for inputs that
    it does not take."""
    check_mapping(inputs)
    if wanted.keys() != inputs.keys():
        odd = min(wanted.keys() ^ inputs.keys(), key=str)
        raise UsageError(
            f"{'missing input' if odd in wanted else 'the entry takes no input'} {odd!r}", help=f"it takes {', '.join(wanted)}"
        )
    arrays, lengths = {}, set()
    for name, value in wanted.items():
        axis, array = record.token_axes.get(name), array_of(name, inputs[name])
        shape = list(value.shape or ())
        if axis is not None and axis < array.ndim:
            shape[axis] = array.shape[axis]
            lengths.add(array.shape[axis])
        if array.dtype != numpy_dtype(value.dtype) or list(array.shape) != shape:
            asked = f"{numpy_dtype(value.dtype)}{['tokens' if k == axis else n for k, n in enumerate(value.shape or ())]}"
            raise UsageError(f"input {name!r} is {array.dtype}{list(array.shape)}, the entry takes {asked}")
        arrays[name] = array
    if len(lengths) != 1 or 0 in lengths:
        found = " and ".join(count(length, "token") for length in sorted(lengths)) or "no tokens"
        raise UsageError(f"the inputs have {found}", help="give each the same number, at least one")
    return arrays, lengths.pop()


def whole_number(what: str, value: object) -> int:
    """Raises UsageError for anything else; numbers of numpy are taken."""
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{what} is a whole number, not {value!r}") from None
