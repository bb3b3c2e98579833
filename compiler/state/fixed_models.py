"""A decoder's steps as models with caches of fixed length: one for each number of tokens that a step may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...passes import stages
from ...passes.graph.graph import Graph
from ...passes.library import EXTENDING as PASTS
from ...passes.library import OFFER, WRITTEN_OUT
from ...passes.rule.apply import apply
from ...passes.rule.rewrite import Allow, Decision, anywhere
from ...passes.state.errors import NotFixable
from ...passes.state.fixed_length import CACHE_LENGTH, fix_length, place_rows
from ...passes.state.places import Cache, Sizes, Unrolled, resize
from ..errors import ModelError, UsageError
from ..load.bind_shapes import Shapes
from ..load.load_model import load_model
from ..load.read_model import read_model
from ..load.source import MemoryModel, Source
from ..load.weights import check_weights, load_external
from ..pipeline.run_passes import Stage
from ..pipeline.whole_model import light_graph_model
from .pairs import caches_of, check_dtype
from .request import StateRequest
from .run_ranges import check_ranges
from .step_inputs import StepInputs, bound, step_inputs
from .ways import APPENDED, EXTENDED, EXTENDING, PLACED, Ways

HELP = "compile its steps one by one with --shape, or export the model with a plain cache: Concat(past, new), attention, causal mask"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedModel:
    """One step of a decoder."""

    written: Mapping[str, MemoryModel]
    """By way: one, or EXTENDED and APPENDED where either may be faster."""
    tokens: int
    token_axes: Mapping[str, int]
    """By input and output, the axis that tokens are along."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By way that it is not written in, why."""

    @property
    def any(self) -> MemoryModel:
        """In whichever way: all have the same inputs."""
        return next(iter(self.written.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedModels:
    """All steps of one decoder."""

    steps: Mapping[str, FixedModel]
    """By entry."""
    inputs: StepInputs
    length: int
    dtype: str = ""
    """That the caches are kept in; "" for the model's."""
    counter: str = CACHE_LENGTH
    """The input, int64 [1], that says how many rows of the caches are filled before the step."""

    @property
    def axes(self) -> Mapping[str, int]:
        """By cache that grows (its input), the axis that its rows are along."""
        return {cache.past: cache.axis for cache in self.inputs.caches}

    @property
    def states(self) -> tuple[tuple[str, str], ...]:
        return tuple((cache.past, cache.present) for cache in (*self.inputs.caches, *self.inputs.replaced))


def fixed_models(
    source: Source,
    request: StateRequest,
    length: int,
    tokens: Mapping[str, int],
    shapes: Shapes,
    stage: Stage,
    ways: Ways = EXTENDING,
) -> FixedModels:
    """length: tokens that the caches hold at most; tokens: of a run, by entry. shapes: sizes of dims that are neither batch nor tokens.
    ways: APPENDED is taken too where steps can be written in no other.

    Raises UsageError for a request that the model does not fit, ModelError where it cannot be written with caches of fixed length."""
    where = str(source)
    for name, number in tokens.items():
        if not 0 < number < length:
            raise UsageError(f"the entry '{name}' takes {number} tokens at once, and the caches hold {length}", where=where)
    with stage("find caches"):
        model, _ = read_model(source)
        if check_weights(model, source):
            load_external(model, source)
        check_ranges(model, where)
        caches = caches_of(model, request, where)
        check_dtype(model, caches, request.dtype, where)
        inputs = step_inputs(model, caches, shapes, where, request.given)
    if inputs.replaced and 1 not in tokens.values():
        what = f"a run may not be filled up, since it replaces the state '{inputs.replaced[0].past}', and no entry takes a single token"
        raise UsageError(what, where=where, help="add --bucket decode=1")
    with stage("fix caches"):
        unroller = _Unroller(MemoryModel(model, where), inputs, length, ways, request.dtype)
        steps = {name: unroller.step(name, number) for name, number in tokens.items()}
    return FixedModels(steps=steps, inputs=inputs, length=length, dtype=request.dtype)


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a stage did to all tokens at once: a step of one token is to go the same way, although in it the constants of its position,
    which have one row, may be taken for weights."""

    taken: frozenset[tuple[str, str]]
    """Rules and the tensors of their sites."""
    left: frozenset[str]
    """Tensors that were computed afterwards."""

    def allows(self, rule: str, tensor: str) -> bool:
        return (rule, tensor) in self.taken or tensor not in self.left


STAGES: tuple[Callable[[Graph, Allow], tuple[Decision, ...]], ...] = (
    lambda graph, allow: stages.recover(graph, allow=allow),
    lambda graph, allow: stages.simplify(graph, allow=allow),
    lambda graph, allow: apply(graph, OFFER, allow),
    lambda graph, allow: stages.simplify(graph, allow=allow),
)


class _Unroller:
    """Loads the model for one length of the past after the other."""

    def __init__(self, model: MemoryModel, inputs: StepInputs, length: int, ways: Ways, dtype: str) -> None:
        self._model, self._inputs, self._length, self._where, self._ways = model.proto, inputs, length, model.name, ways
        self._dtype = dtype
        self._stages: list[_Stage] = []
        """As all tokens at once went through them."""
        self._first = self._graph(0, length)

    def step(self, name: str, tokens: int) -> FixedModel:
        sizes = Sizes(tokens=tokens, length=self._length)
        last, before = (self._graph(past, tokens) for past in (sizes.past, sizes.past - 1))
        axes = {**self._inputs.axes, **self._output_axes(last)}
        written: dict[str, MemoryModel] = {}
        refused = dict(self._ways.left_out)
        problem: NotFixable | None = None
        others = [APPENDED] if self._dtype else [APPENDED, PLACED]  # placed rows lie among others, which are of the model's dtype
        for way in dict.fromkeys((*self._ways.names, *(others if self._ways.others else []))):
            if way not in self._ways.names and written:
                continue
            graph = self._graph(sizes.past, tokens) if written or problem else last  # which is edited in place
            try:
                fixed = self._fixed(Unrolled(last=graph, before=before, first=self._first), sizes, way)
                written[way] = MemoryModel(light_graph_model(fixed), f"{self._where} ({name})")
                refused.pop(way, None)
            except NotFixable as found:
                problem, refused[way] = found, str(found)
        if problem is not None and not written:
            help = f"leave out --cache-dtype, since rows at their places are kept in the model's dtype; or {HELP}" if self._dtype else HELP
            if self._inputs.added:
                added = f"'{self._inputs.added[0]}' was taken to be added to scores, 0 for what a token sees"
                help = f"{added}: export the model with a mask of ones, [batch, tokens]; or {help}"
            raise ModelError(f"{problem.message}: no cache of fixed length", where=f"{self._where}, {problem.where}", help=help)
        return FixedModel(written=written, tokens=tokens, token_axes=axes, refused=refused)

    def _fixed(self, graphs: Unrolled, sizes: Sizes, way: str) -> Graph:
        whole = self._ways.whole
        if way == PLACED:
            graph = place_rows(graphs, self._inputs.caches, sizes)
        else:
            graph = fix_length(graphs, self._inputs.caches, sizes, extends=way == EXTENDED, whole="Attention" in whole, dtype=self._dtype)
        if way != EXTENDED:
            apply(graph, [rule for rule in WRITTEN_OUT if whole.isdisjoint(rule.operators)])
            stages.simplify(graph)
        return graph

    def _graph(self, past: int, tokens: int) -> Graph:
        """Recovered and simplified, attention and rotations included."""
        model, shapes = bound(self._model, self._inputs, past, tokens)
        graph = Graph(load_model(MemoryModel(model, self._where), shapes).proto)
        for one in apply(graph, PASTS):
            if not one.taken:
                what = f"{one.site} extends its cache by itself, and {one.reason}: no cache of fixed length"
                raise ModelError(what, where=self._where, help=HELP)
        for cache in self._inputs.replaced:
            self._check_alike(graph, cache)
        for cache in self._inputs.caches:
            resize(graph, cache.present, cache.past, cache.axis, past + tokens)
        for number, stage in enumerate(STAGES):
            if number == len(self._stages):
                taken = frozenset((one.rule, one.tensor) for one in stage(graph, anywhere) if one.taken)
                self._stages.append(_Stage(taken, frozenset(name for node in graph.nodes for name in node.writes)))
            else:
                stage(graph, self._stages[number].allows)
        return graph

    def _check_alike(self, graph: Graph, cache: Cache) -> None:
        before, after = (list(graph.tensor(name).shape or ()) for name in (cache.past, cache.present))
        if before != after:
            what = f"the state '{cache.past}' is {before} and goes out as '{cache.present}', {after}"
            raise ModelError(what, where=self._where, help="a state has one shape; a cache that grows has a dynamic dim for its rows")

    def _output_axes(self, graph: Graph) -> dict[str, int]:
        """The first axis of each output that is longer where more tokens go in."""
        presents, found = {cache.present for cache in (*self._inputs.caches, *self._inputs.replaced)}, {}
        for name in graph.outputs:
            few, many = graph.tensor(name).shape or (), self._first.tensor(name).shape or ()
            axis = next((k for k, (a, b) in enumerate(zip(few, many, strict=False)) if a != b), None)
            if name not in presents and axis is not None:
                found[name] = axis
        return found
