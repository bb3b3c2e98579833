"""States that every run replaces as a whole: inputs and outputs of one shape, those of an LSTM for example."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ModelError, UsageError
from ..load.bind_shapes import Shapes, real_inputs
from ..load.load_model import load_model
from ..load.read_model import read_model
from ..load.source import Source
from .pairs import caches_of
from .request import StateRequest

GROWS = "a cache that grows needs --max-length TOKENS, and its steps as --bucket NAME=TOKENS"


def replaced_states(source: Source, request: StateRequest, entries: Mapping[str, Shapes]) -> tuple[tuple[str, str], ...]:
    """Inputs with the outputs that take their place, in the order of the model. entries: sizes of dims, by entry.

    Raises as `caches_of`; UsageError for a state that has a dim without a size, ModelError where the two shapes differ."""
    model, _ = read_model(source)
    pairs = tuple((cache.past, cache.present) for cache in caches_of(model, request, str(source)))
    values = {value.name: value for value in real_inputs(model.graph)}
    for shapes in entries.values():
        for past, _ in pairs:
            dims = [dim.dim_param or "?" for dim in values[past].type.tensor_type.shape.dim if not dim.HasField("dim_value")]
            free = next((name for name in dims if name not in shapes), None)
            if free is not None and past not in shapes:
                help = f"give it with --shape {free}=SIZE, if it is the same in every run; {GROWS}"
                raise UsageError(f"the state '{past}' has a dim without a size: {free}", where=str(source), help=help)
        _check_alike(source, pairs, shapes)
    return pairs


def _check_alike(source: Source, pairs: tuple[tuple[str, str], ...], shapes: Shapes) -> None:
    graph = load_model(source, shapes).proto.graph
    found = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)}
    for past, present in pairs:
        if found[past] != found[present]:
            what = f"the state '{past}' is {found[past]} and goes out as '{present}', {found[present]}"
            raise ModelError(what, where=str(source), help=f"a state has one shape; {GROWS}")
