"""Inputs of a decoder besides its caches: tokens, and what follows from how many tokens there are (masks of ones, positions)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...passes.state.places import Cache
from ..errors import ModelError, UsageError
from ..inputs.followed import followed_value, follows, is_added
from ..load.bind_shapes import Shapes, real_inputs
from .added_masks import used_otherwise

if TYPE_CHECKING:
    import onnx


MOST_NAMED = 6
STAYS = "leave out --max-length where all states keep their shape; or export the model with a dynamic past"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInputs:
    """What the inputs of a decoder are, and the sizes of their dims."""

    caches: tuple[Cache, ...]
    """That grow."""
    replaced: tuple[Cache, ...] = ()
    """States of one shape, which every run replaces as a whole."""
    batch: str
    """The dim that is 1; "" where the model has it fixed."""
    tokens: str
    """The dim that tokens are along."""
    past: str
    """The dim that the rows of the caches are along; "" where it has no name."""
    given: Mapping[str, int | tuple[int, ...]]
    """Sizes that the user gave."""
    followed: tuple[str, ...]
    """Inputs that follow from how many tokens there are, which a session makes."""
    axes: Mapping[str, int]
    """By input of tokens, the axis that they are along."""
    added: tuple[str, ...] = ()
    """Masks among `followed` that are taken to be added to scores."""


def step_inputs(model: onnx.ModelProto, caches: tuple[Cache, ...], shapes: Shapes, where: str, asked: tuple[str, ...] = ()) -> StepInputs:
    """asked: inputs that the caller gives although they follow. Raises UsageError where the dim of the tokens cannot be told, the batch is
    not 1, or `asked` has what does not follow; ModelError for caches of unknown heads."""
    values = {value.name: value for value in real_inputs(model.graph)}
    kept = {cache.past for cache in caches}
    others = [value for name, value in values.items() if name not in kept]
    made = [value.name for value in others if follows(value) and not _is_other(model.graph, value)]
    followed = tuple(name for name in made if name not in asked)
    odd = next((name for name in asked if name not in made), None)
    if odd is not None:
        known = ", ".join(made) or "none"
        raise UsageError(f"--given {odd}: no input of that name follows from the number of tokens", where=where, help=f"these do: {known}")
    batches = {dims[0].dim_param for value in others if (dims := _dims(value))} - {""}
    grown = {value.name: value for value in model.graph.output}
    states = tuple(cache for cache in caches if not _free(values[cache.past], batches, shapes))
    caches = tuple(
        replace(cache, axis=_rows_axis(values[cache.past], grown[cache.present], batches, shapes, where))
        for cache in caches
        if cache not in states
    )
    if not caches:
        said = ", ".join(cache.past for cache in states[:MOST_NAMED])
        sized = next((name for cache in states for dim in _dims(values[cache.past]) if (name := dim.dim_param) in {*shapes} - batches), "")
        help = f"leave out --shape {sized}: --max-length says how many tokens the caches hold" if sized else STAYS
        raise UsageError(f"none of the caches grows: {said} have dims of known sizes", where=where, help=help)
    first, axis = _dims(values[caches[0].past]), caches[0].axis
    unsized = [dim.dim_param for k, dim in enumerate(first) if k != axis and not dim.dim_value]
    batch, past = next((name for name in unsized if name in batches or name not in shapes), ""), first[axis].dim_param
    firsts = _first_dims([value for value in others if value.name not in followed]) - {""}
    if any(shapes.get(name, 1) != 1 for name in (batch, *firsts)) or _fixed_batch(
        [value for value in others if value.name not in followed]
    ) not in (0, 1):
        raise UsageError("a session has one sequence: the batch must be 1", where=where, help=f"leave out --shape {batch or 'batch'}")
    named = [dim.dim_param for value in others if value.name not in followed for dim in _dims(value) if dim.dim_param]
    free = [name for name in dict.fromkeys(named) if name not in {batch, past, *firsts, *shapes}]
    if len(free) != 1:
        said = (
            f"more than one dim may be that of the tokens: {', '.join(free)}"
            if free
            else "no input has a dim that may be that of the tokens"
        )
        nameless = next((value.name for value in others if value.name not in followed and _nameless(value)), "")
        sized = next((name for name in named if name in shapes and name != batch), "")
        help = f"export the model with {f'a name for each dim of {nameless!r}' if nameless else 'a dynamic sequence'}"
        odd_mask = next((value for value in others if is_added(value) and value.name not in (*followed, *asked)), None)
        if free and odd_mask is not None:
            reader = used_otherwise(model.graph, odd_mask.name) or "its last dim has a fixed size"
            odd_mask_is = f"{odd_mask.name!r} is no mask that is only added to scores ({reader})"
            help = f"{odd_mask_is}: export the model with one of ones, [batch, tokens]"
        elif free:
            help = "give the others a size with --shape"
        elif sized:
            help = f"leave out --shape {sized}: --bucket says how many tokens a run takes"
        raise UsageError(said, where=where, help=help)
    axes = {
        value.name: axis
        for value in others
        if value.name not in followed
        for axis, dim in enumerate(_dims(value))
        if dim.dim_param == free[0]
    }
    added = tuple(value.name for value in others if value.name in followed and is_added(value))
    given = {name: size for name, size in (*shapes.items(), *((name, 1) for name in sorted(firsts))) if name != batch}
    return StepInputs(
        caches=caches, replaced=states, batch=batch, tokens=free[0], past=past, given=given, followed=followed, axes=axes, added=added
    )


def _is_other(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> bool:
    """Whether a mask of floats with three dims or more is none that is added to scores, although its name and type say so: it has no column
    for each token, or something else is done with it than adding it."""
    return is_added(value) and (value.type.tensor_type.shape.dim[-1].dim_value > 0 or bool(used_otherwise(graph, value.name)))


def _rows_axis(past: onnx.ValueInfoProto, present: onnx.ValueInfoProto, batches: Collection[str], shapes: Shapes, where: str) -> int:
    """The one dim of a cache without a size that is not the batch's. batches: names of first dims of inputs of tokens. Raises ModelError
    where there is none, UsageError for another dim without a size."""
    dims, after = _dims(past), _dims(present)
    rows = _free(past, batches, shapes)
    grown = [k for k in rows if after[k].dim_param != dims[k].dim_param]
    said = [dim.dim_param or dim.dim_value or "?" for dim in dims]
    if len(rows) > 1 and len(grown) == 1:
        open_ = next(dims[k].dim_param for k in rows if k != grown[0])
        what = f"the cache '{past.name}' is {said}: '{open_}' has no size"
        raise UsageError(what, where=where, help=f"give it with --shape {open_}=SIZE")
    sized = next((dim.dim_param for k, dim in enumerate(dims) if not dim.dim_value and dim.dim_param in shapes and k not in rows), "")
    if not rows and sized and sized not in batches:
        what = f"the cache '{past.name}' is {said}, and --shape gives '{sized}' a size"
        raise UsageError(what, where=where, help=f"leave out --shape {sized}: --max-length says how many tokens the caches hold")
    if len(rows) != 1:
        what = f"the cache '{past.name}' is {said}: which dim its rows are along cannot be told"
        raise ModelError(what, where=where, help="leave it out of --state, or export the model with one dynamic dim beside the batch")
    return rows[0]


def _free(past: onnx.ValueInfoProto, batches: Collection[str], shapes: Shapes) -> list[int]:
    """Dims of a cache that its rows may be along: without a size, and not the batch's."""
    dims = _dims(past)
    free = [k for k, dim in enumerate(dims) if not dim.dim_value and dim.dim_param not in shapes]
    rows = [k for k in free if dims[k].dim_param not in batches]
    return rows[1:] if len(rows) == 2 and rows == free and rows[0] == 0 else rows  # a batch by another name, or none


def _first_dims(others: Sequence[onnx.ValueInfoProto]) -> set[str]:
    """Names of first dims of inputs of tokens that have another dim without a size: those of the batch."""
    found = set()
    for dims in map(_dims, others):
        names = {dim.dim_param for dim in dims[1:]} - {"", dims[0].dim_param if dims else ""}
        found |= {dims[0].dim_param} if names else set()
    return found


def _nameless(value: onnx.ValueInfoProto) -> bool:
    """Whether it has a dim of neither a size nor a name."""
    return any(not dim.dim_value and not dim.dim_param for dim in _dims(value))


def _fixed_batch(others: Sequence[onnx.ValueInfoProto]) -> int:
    """The size of the first dim of inputs of tokens, 0 where it has none."""
    return max((dims[0].dim_value for value in others if len(dims := _dims(value)) > 1), default=0)


def bound(model: onnx.ModelProto, inputs: StepInputs, past: int, tokens: int) -> tuple[onnx.ModelProto, Shapes]:
    """A copy of the model, in which what follows from the number of tokens is a constant, and sizes for its dims."""
    from onnx import numpy_helper

    copy = type(model)()
    copy.CopyFrom(model)
    sizes = {**{name: size for name, size in inputs.given.items() if isinstance(size, int)}, inputs.tokens: tokens}
    if inputs.batch:
        sizes[inputs.batch] = 1
    for name in inputs.followed:
        value = next(value for value in copy.graph.input if value.name == name)
        copy.graph.initializer.append(numpy_helper.from_array(followed_value(value, sizes, past, tokens), name))
        copy.graph.input.remove(value)
    shapes: dict[str, int | tuple[int, ...]] = {**inputs.given, inputs.tokens: tokens}
    if inputs.batch:
        shapes[inputs.batch] = 1
    for cache in (*inputs.caches, *inputs.replaced):
        dims = _dims(next(value for value in copy.graph.input if value.name == cache.past))
        axis = None if cache in inputs.replaced else cache.axis
        shapes[cache.past] = tuple(past if k == axis else dim.dim_value or sizes.get(dim.dim_param, 1) for k, dim in enumerate(dims))
    return copy, shapes


def _dims(value: onnx.ValueInfoProto) -> Sequence[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)
