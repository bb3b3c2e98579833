"""Which inputs of a model are caches, and which outputs take their place: by the names that the user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...passes.state.places import Cache
from ..errors import ModelError, UsageError
from ..load.bind_shapes import real_inputs
from .request import FORM, StateRequest

if TYPE_CHECKING:
    import onnx

MOST_NAMED = 12
UNALIKE = "leave it out of --state, or export the model with one type for both"


def caches_of(model: onnx.ModelProto, request: StateRequest, where: str) -> tuple[Cache, ...]:
    """In the order of the model's inputs. Raises UsageError where a pattern fits nothing or an input has no partner, with what there is;
    ModelError where the two are of different dtypes or ranks."""
    inputs = {value.name: value for value in real_inputs(model.graph)}
    outputs = {value.name: value for value in model.graph.output}
    found: dict[str, str] = {}
    for past, present in request.patterns:
        fitting = [name for name in inputs if star(past, name) is not None]
        if not fitting:
            raise UsageError(f"--state: no input is called '{past}'", where=where, help=_candidates(inputs, outputs))
        for name in fitting:
            partner = present.replace("*", star(past, name) or "")
            if partner not in outputs:
                what = f"--state: the input '{name}' has no output '{partner}'"
                raise UsageError(what, where=where, help=_candidates(inputs, outputs))
            if found.setdefault(name, partner) != partner:
                raise UsageError(f"--state gives the input '{name}' two outputs, '{found[name]}' and '{partner}'", where=where, help=FORM)
    if len(set(found.values())) < len(found):
        twice = next(name for name in found.values() if list(found.values()).count(name) > 1)
        raise UsageError(f"--state gives two inputs the output '{twice}'", where=where, help=FORM)
    for past, present in found.items():
        _check_alike(inputs[past], outputs[present], where)
    return tuple(Cache(name, found[name]) for name in inputs if name in found)


def check_dtype(model: onnx.ModelProto, caches: tuple[Cache, ...], dtype: str, where: str) -> None:
    """Raises UsageError where a cache cannot be kept in that dtype: it has no more bits in the model."""
    from ...targets.dtypes import BITS, DTYPE, FLOATS

    given = {value.name: DTYPE.get(value.type.tensor_type.elem_type, "") for value in real_inputs(model.graph)}
    same = next((cache for cache in caches if dtype and (given[cache.past] not in FLOATS or BITS[given[cache.past]] <= BITS[dtype])), None)
    if same is not None:
        what = f"the cache '{same.past}' is {given[same.past]} in the model: it cannot be kept in {dtype}"
        raise UsageError(what, where=where, help="leave out --cache-dtype")


def star(pattern: str, name: str) -> str | None:
    """What `*` stands for, "" in a pattern without; None where the name does not fit."""
    head, star, tail = pattern.partition("*")
    if not star:
        return "" if name == pattern else None
    fits = name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail)
    return name[len(head) : len(name) - len(tail)] if fits else None


def _candidates(inputs: dict[str, onnx.ValueInfoProto], outputs: dict[str, onnx.ValueInfoProto]) -> str:
    """Inputs and outputs of one type each, which may be caches: all but whole numbers."""
    said = []
    for what, values in (("inputs", inputs), ("outputs", outputs)):
        names = [name for name, value in values.items() if value.type.tensor_type.elem_type in FLOATS]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        said.append(f"{what} that may be caches: {', '.join(names[:MOST_NAMED]) or 'none'}{more}")
    return "; ".join(said)


FLOATS = frozenset({1, 10, 11, 16, 3, 2})
"""Element types of caches: float, float16, double, bfloat16, int8, uint8."""


def _check_alike(past: onnx.ValueInfoProto, present: onnx.ValueInfoProto, where: str) -> None:
    a, b = past.type.tensor_type, present.type.tensor_type
    if a.elem_type != b.elem_type:
        from ...targets.dtypes import DTYPE

        what = f"{DTYPE.get(a.elem_type, '?')} and {DTYPE.get(b.elem_type, '?')}"
        raise ModelError(f"the cache '{past.name}' goes out as '{present.name}' in another dtype: {what}", where=where, help=UNALIKE)
    if len(a.shape.dim) != len(b.shape.dim):
        ranks = f"{len(a.shape.dim)} and {len(b.shape.dim)} dims"
        raise ModelError(f"the cache '{past.name}' goes out as '{present.name}' with another rank: {ranks}", where=where, help=UNALIKE)
