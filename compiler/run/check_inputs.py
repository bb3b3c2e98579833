"""Whether what a caller gives are the inputs of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..bundle.manifest import Manifest
from ..bundle.plan_records import ValueRecord
from ..devices.views import numpy_dtype
from ..errors import UsageError, did_you_mean
from ..quantities import count


def check_inputs(manifest: Manifest, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as arrays; raises UsageError naming what is missing, unknown, or of another dtype or shape."""
    check_mapping(inputs)
    pasts = {state.past for state in manifest.states}
    wanted = {value.name: value for value in manifest.model.inputs if value.name not in pasts}
    unknown = [name for name in inputs if name not in wanted]
    if unknown:
        raise UsageError(f"the model has no input {unknown[0]!r}", help=did_you_mean(unknown[0], wanted))
    missing = [name for name in wanted if name not in inputs]
    if missing:
        described = ", ".join(f"{name}: {wanted[name].dtype}{_shape(wanted[name])}" for name in missing)
        help = "numpy.savez(path, name=array, …) with every input"
        raise UsageError(f"{'missing input' if len(missing) == 1 else 'missing inputs'} {described}", help=help)
    checked = {}
    for name, value in wanted.items():
        if value.slot is None:
            checked[name] = inputs[name]
            continue
        array = array_of(name, inputs[name])
        if array.dtype != numpy_dtype(value.dtype) or array.shape != value.shape:
            got = f"{array.dtype}{list(array.shape)}"
            takes = f"{numpy_dtype(value.dtype)}{_shape(value)}"
            raise UsageError(f"input {name!r} is {got}, the bundle takes {takes}", help=_advice(array, value))
        checked[name] = array
    return checked


def check_mapping(inputs: object) -> None:
    """Raises UsageError for inputs that are not given by name."""
    if not isinstance(inputs, Mapping):
        what = f"inputs are a mapping from names to arrays, not {type(inputs).__name__}"
        raise UsageError(what, help='for example {"input_ids": ids}')


def array_of(name: str, value: Any) -> Any:
    """The value as an array. Raises UsageError for one that is none, such as rows of several lengths."""
    import numpy

    try:
        return numpy.asarray(value)
    except (ValueError, TypeError) as problem:
        raise UsageError(f"input {name!r} is no array: {problem}", help="give a numpy array") from None


def not_finite(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for every input that holds NaN or infinities, however many requests have them."""
    import numpy

    found: dict[str, list[int]] = {}
    for inputs in requests:
        for name, value in inputs.items():
            if value.dtype.kind == "f" and (bad := int(value.size - numpy.isfinite(value).sum())):
                found.setdefault(name, []).append(bad)
    return [
        f"input {name!r} holds {count(sum(bad), 'value')} that {'is' if sum(bad) == 1 else 'are'} NaN or infinite"
        + (f", in {len(bad)} of {len(requests)} files" if len(requests) > 1 else "")
        for name, bad in found.items()
    ]


def _advice(array: Any, value: ValueRecord) -> str:
    if array.shape != value.shape:
        return "a bundle takes the one shape it was compiled for; compile again with another --shape"
    return f"convert it: array.astype('{numpy_dtype(value.dtype)}')"


def _shape(value: ValueRecord) -> str:
    return "" if value.shape is None else str(list(value.shape))
