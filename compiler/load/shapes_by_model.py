"""What --shape says of each of several models: a size belongs to the models that have a dim or an input of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, UserError, did_you_mean
from .bind_shapes import Shapes, parse_shapes, real_inputs
from .read_model import peek_model

if TYPE_CHECKING:
    import onnx


def shapes_by_model(models: Sequence[Path], given: Sequence[str]) -> dict[Path, Shapes]:
    """Of one model, and of one that cannot be read, all that is given. Raises UsageError for a name that none of several has."""
    sizes = parse_shapes(given)
    if len(models) < 2 or not sizes:
        return dict.fromkeys(models, sizes)
    names = {model: _names(model) for model in models}
    known = set().union(*(each for each in names.values() if each is not None))
    for name in sizes:
        if name not in known and None not in names.values():
            raise UsageError(f"no model has a dim or an input '{name}'", where=f"--shape {name}", help=did_you_mean(name, known))
    return {model: sizes if mine is None else {name: size for name, size in sizes.items() if name in mine} for model, mine in names.items()}


def sizes_by_graph(graphs: Mapping[str, onnx.GraphProto], sizes: Shapes) -> dict[str, Shapes]:
    """The same for graphs by name."""
    names = {model: _size_names(graph) for model, graph in graphs.items()}
    known = set().union(*names.values())
    for name in sizes:
        if name not in known:
            raise UsageError(f"no model has a dim or an input '{name}'", where=f"--shape {name}", help=did_you_mean(name, known))
    return {model: {name: size for name, size in sizes.items() if name in mine} for model, mine in names.items()}


def _names(model: Path) -> set[str] | None:
    """None where it cannot be read: what compiles it says why."""
    try:
        return _size_names(peek_model(model)[0].graph)
    except (UserError, OSError):
        return None


def _size_names(graph: onnx.GraphProto) -> set[str]:
    inputs = real_inputs(graph)
    dims = {dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim}
    return {value.name for value in inputs} | dims - {""}
