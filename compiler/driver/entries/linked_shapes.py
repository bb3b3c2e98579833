"""Sizes of models that links lead from: what they write has to fit what the entries of the other model read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import ModelError, UsageError
from ...load.bind_shapes import Shapes, real_inputs
from .link_request import Link

if TYPE_CHECKING:
    import onnx

Dims = Sequence["int | str"]
"""Sizes, and names where a dim is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """An input that links lead to, in one entry."""

    entry: str
    shape: tuple[int, ...]
    element: int
    """Its element type, as onnx numbers them."""
    axis: int
    """Along which its rows are."""


@dataclass(slots=True, kw_only=True)
class Sized:
    """An entry of a model that links lead from."""

    shapes: dict[str, int] = field(default_factory=dict)
    """Of dims, besides those that the user gave."""
    rows: str = ""
    """The dim that is as long as its rows are many."""
    tokens: int | None = None
    """Rows that it writes, where it may be given fewer and is filled up."""
    token_axes: dict[str, int] = field(default_factory=dict)


def sized_entries(
    model: str, graph: onnx.GraphProto, links: Sequence[Link], readers: Mapping[str, Sequence[Reader]], shapes: Shapes
) -> dict[str, Sized]:
    """Entries of the model by name, one for every size that is read from it. readers: by input, that of every entry; shapes: sizes that the
    user gave.

    Raises UsageError where no entry can read what a link writes, ModelError for another dtype."""
    entries = list(dict.fromkeys(reader.entry for each in readers.values() for reader in each))
    found: dict[str, Sized] = {}
    values = {value.name: value for value in graph.output}
    for entry in entries:
        pairs = [(link, reader) for link in links for reader in readers[link.input] if reader.entry == entry]
        fits = [_fit(link, values[link.output], reader, shapes, graph) for link, reader in pairs]
        sized = [one for one in fits if one is not None]
        if len(sized) == len(links) and (whole := _joined(sized)) is not None and whole not in found.values():
            found[f"{model}-{entry}"] = whole
    if not found and links:
        raise _misfit(links, values, readers, shapes)
    only = next(iter(found.values()), Sized())
    made = found if len(found) > 1 else {model: only}
    for one in made.values():
        if one.rows:
            one.token_axes |= _axes(graph, one.rows)
    return made


def _fit(link: Link, value: onnx.ValueInfoProto, reader: Reader, shapes: Shapes, graph: onnx.GraphProto) -> Sized | None:
    """Sizes with which the link writes what the entry reads; None where it cannot."""
    if value.type.tensor_type.elem_type != reader.element:
        from ....targets.dtypes import DTYPE

        what = f"{DTYPE.get(value.type.tensor_type.elem_type, '?')} and {DTYPE.get(reader.element, '?')}"
        raise ModelError(f"--link {link.text} joins two dtypes: {what}", help="export both models with one dtype")
    dims = _dims(value, shapes)
    missing, more = max(len(reader.shape) - len(dims), 0), max(len(dims) - len(reader.shape), 0)
    if any(size != 1 for size in reader.shape[:missing]):
        return None
    made, rows = Sized(), reader.axis - missing + more
    for axis, (mine, theirs) in enumerate(zip(dims, (*(1 for _ in range(more)), *reader.shape[missing:]), strict=True)):
        some = bool(link.label) and axis == rows
        if isinstance(mine, int):
            if mine != theirs and not (some and mine <= theirs):
                return None
        elif not some:
            name = _free_dim(mine, graph, shapes)
            if made.shapes.setdefault(name, theirs) != theirs:
                return None
            if axis == rows:
                made.tokens, made.rows, made.token_axes[link.output] = theirs, name, axis
    return made


def _dims(value: onnx.ValueInfoProto, shapes: Shapes) -> list[int | str]:
    found: list[int | str] = []
    for dim in value.type.tensor_type.shape.dim:
        size = shapes.get(dim.dim_param) if dim.dim_param else None
        found.append(size if isinstance(size, int) else dim.dim_value if dim.HasField("dim_value") else dim.dim_param)
    return found


def _free_dim(name: str, graph: onnx.GraphProto, shapes: Shapes) -> str:
    """The dim of the inputs that a dim of an output is: exporters name it anew where it is computed, and then it is the only free one."""
    free = {
        dim.dim_param
        for value in real_inputs(graph)
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param and dim.dim_param not in shapes
    }
    return name if name in free or len(free) != 1 else next(iter(free))


def _joined(sized: Sequence[Sized]) -> Sized | None:
    """The sizes of several links together; None where they contradict each other."""
    whole = Sized()
    for one in sized:
        if any(whole.shapes.setdefault(name, size) != size for name, size in one.shapes.items()):
            return None
        whole.tokens, whole.rows = whole.tokens or one.tokens, whole.rows or one.rows
        whole.token_axes |= one.token_axes
    return whole


def _axes(graph: onnx.GraphProto, rows: str) -> dict[str, int]:
    """Of inputs, the axis of that dim."""
    return {
        value.name: axis
        for value in real_inputs(graph)
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if dim.dim_param == rows
    }


def _misfit(
    links: Sequence[Link], values: Mapping[str, onnx.ValueInfoProto], readers: Mapping[str, Sequence[Reader]], shapes: Shapes
) -> UsageError:
    said = []
    for link in links:
        written = "x".join(str(size or "?") for size in _dims(values[link.output], shapes))
        read = ", ".join(f"{'x'.join(map(str, reader.shape))} in '{reader.entry}'" for reader in readers[link.input])
        said.append(f"--link {link.text}: {written} does not fit {read}")
    help = (
        "rows that it is some of need @ROWS, and an entry that takes as many tokens at once: --bucket prefill=N; or give sizes with --shape"
    )
    return UsageError("; ".join(said), help=help)
