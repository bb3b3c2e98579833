"""Calls a user's function on a graph and takes its result apart: what it raises, returns or breaks is reported with its file and line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UserPassError, first_line
from ..exchange.from_gs import model_of
from ..exchange.to_gs import surgeon_graph
from ..load.hide_weights import hide_weights, restore_weights
from ..load.infer_types import infer_types
from ..load.node_names import name_nodes_apart
from ..load.structure import check_structure
from ..own_script import place_of
from ..watch.pass_judge import refused_by_checker
from .user_pass import UserPass

if TYPE_CHECKING:
    import onnx


def call_pass(one: UserPass, before: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model that the function makes of `before` (which stays as it is): valid, sorted, every tensor typed; None where it
    changed nothing.

    Raises UserPassError where the function fails, returns something else than None or a gs.Graph, leaves a graph that is not a
    valid model, or changes inputs or outputs; where `before` holds what a gs.Graph cannot carry."""
    import onnx_graphsurgeon as gs

    try:
        graph = surgeon_graph(before)
    except ModelError as problem:
        raise _error(one, f"cannot run: {problem.message}", help=problem.help) from problem
    try:
        with redirect_stdout(sys.stderr):  # stdout is the result's
            returned = one.function(graph)
    except (Exception, SystemExit) as problem:  # whatever the function raises is its own
        told = f"failed: {type(problem).__name__}: {first_line(problem)}" if isinstance(problem, Exception) else "exits"
        raise _error(one, told, where=place_of(problem, one.file)) from problem
    if returned is not None and not isinstance(returned, gs.Graph):
        message = f"returned {type(returned).__name__}, neither None nor a gs.Graph"
        raise _error(one, message, help="edit the graph in place and return nothing, or return a gs.Graph")
    try:
        after = model_of(graph if returned is None else returned, graph.kept)
        if after.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True):
            return None
        _check_names(one, before, after)
        _check_stated_shapes(one, before, after)
        return _finished(one, before, after)
    except ModelError as problem:
        raise _error(one, f"left an invalid model: {problem.message}", help=_own(problem.help)) from problem
    except (AttributeError, TypeError, ValueError) as problem:
        # nodes and tensors are plain Python objects: anything may have been put into their lists
        raise _error(one, f"left a graph that cannot be written: {first_line(problem)}") from problem


def _error(one: UserPass, told: str, *, where: str = "", help: str = "") -> UserPassError:
    return UserPassError(f"pass {one.name} (after {one.point}) {told}", where=where or one.where, help=help, pass_name=one.name)


def _own(help: str) -> str:
    """Advice of the loader to export a model anew is of no use here."""
    return "" if "export" in help or "--" in help else help


def _check_names(one: UserPass, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    for part in ("input", "output"):
        names = [[value.name for value in getattr(model.graph, part)] for model in (before, after)]
        if names[0] != names[1]:
            gone, new = sorted(set(names[0]) - set(names[1])), sorted(set(names[1]) - set(names[0]))
            told = [f"'{name}' is gone" for name in gone] + [f"'{name}' is new" for name in new]
            message = f"changed the {part}s of the model: {', '.join(told) or f'they are now in the order {names[1]}'}"
            raise _error(one, message, help=f"a pass leaves the model's {part}s as they are: names, number, order and types")


def _check_stated_shapes(one: UserPass, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    """Shapes are inferred afresh: one that the pass wrote onto an output would be undone without a word."""
    for was, now in zip(before.graph.output, after.graph.output, strict=True):
        old, new = _static_shape(was), _static_shape(now)
        if old is not None and new is not None and old != new:
            help = "a pass leaves the model's outputs as they are: names, number, order and types"
            raise _error(one, f"changed the shape of output '{was.name}': it was {list(old)}, it is now {list(new)}", help=help)


def _static_shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    static = kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)
    return tuple(dim.dim_value for dim in kind.shape.dim) if static else None


def _finished(one: UserPass, before: onnx.ModelProto, after: onnx.ModelProto) -> onnx.ModelProto:
    """Sorted, checked, and every type inferred afresh: what the function left may be out of date."""
    stated = {value.name: _copy(value) for part in _typed_parts(after) for value in part}
    check_structure(after, "")
    name_nodes_apart(after.graph)
    hidden = hide_weights(after)
    after = infer_types(after)
    restore_weights(after, hidden)
    for value in (value for part in _typed_parts(after) for value in part):
        if (old := stated.get(value.name)) is not None:
            _annotate(value, old)
    _check_types(one, before, after)
    refused = refused_by_checker(after, strict=True)
    if refused and refused_by_checker(before, strict=True):  # then being strict says nothing about the pass
        refused = refused_by_checker(after, strict=False)
    if refused:
        raise ModelError(refused)
    return after


def _typed_parts(model: onnx.ModelProto) -> Sequence[Iterable[onnx.ValueInfoProto]]:
    return model.graph.value_info, model.graph.input, model.graph.output


def _annotate(value: onnx.ValueInfoProto, old: onnx.ValueInfoProto) -> None:
    """Doc string and metadata as they were, and the denotations of a type that stayed the same."""
    if _spelled(value) == _spelled(old):
        value.type.CopyFrom(old.type)
    value.doc_string = old.doc_string
    del value.metadata_props[:]
    value.metadata_props.extend(old.metadata_props)


def _copy(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    twin = type(value)()
    twin.CopyFrom(value)
    return twin


def _check_types(one: UserPass, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    for part in ("input", "output"):
        for was, now in zip(getattr(before.graph, part), getattr(after.graph, part), strict=True):
            if (old := _spelled(was)) != (new := _spelled(now)):
                help = f"a pass leaves the model's {part}s as they are: names, number, order and types"
                raise _error(one, f"changed the type of {part} '{was.name}': it was {old}, it is now {new}", help=help)


def _spelled(value: onnx.ValueInfoProto) -> str:
    """`float[1, 4]`."""
    import onnx

    kind = value.type.tensor_type
    dims: list[Any] = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]
    return f"{onnx.TensorProto.DataType.Name(kind.elem_type).lower()}[{', '.join(map(str, dims))}]"
