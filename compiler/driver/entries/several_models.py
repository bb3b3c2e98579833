"""Several models that become one bundle: which one the others feed, what it reads of them, and how large that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....targets.dtypes import DTYPE, packed_bytes
from ....targets.model import Target
from ...emit.join_links import ROW_ALIGN, LinkPlan
from ...errors import UsageError
from ...load.bind_shapes import Shapes, real_inputs
from ...load.load_model import load_model
from ...load.read_model import peek_model
from ...load.shapes_by_model import sizes_by_graph
from ...load.source import Source
from ...pipeline.run_passes import Stage
from ...state.fixed_models import FixedModels, fixed_models
from ...state.pairs import star
from ...state.request import StateRequest
from ...state.ways import ways_of
from .link_request import FORM, Link, links_of
from .linked_shapes import Reader, Sized, sized_entries

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralModels:
    """What is to be compiled."""

    sources: Mapping[str, Source]
    graphs: Mapping[str, onnx.GraphProto]
    """As they are in the files."""
    shapes: Mapping[str, Shapes]
    """By model, the sizes that the user gave for its dims."""
    main: str
    """The model that keeps states, or that links lead to."""
    links: tuple[Link, ...]

    @property
    def source(self) -> Source:
        """Of the main model."""
        return self.sources[self.main]

    @property
    def others(self) -> tuple[str, ...]:
        """All models but the main one."""
        return tuple(name for name in self.sources if name != self.main)


def several_models(sources: Mapping[str, Source], words: Sequence[str], state: StateRequest | None, shapes: Shapes) -> SeveralModels:
    """words: of --link. Raises UsageError where it cannot be told which model the others feed, and as `links_of`; ModelError for a file
    that is no model."""
    graphs = {name: peek_model(source)[0].graph for name, source in sources.items()}
    links = links_of(words, graphs)
    if not links:
        raise UsageError(f"nothing joins the models {', '.join(sources)}", where="--link", help=FORM)
    main = links[0].to if state is None else _stateful(graphs, state)
    if main != links[0].to:
        what = f"--link {links[0].text} leads to '{links[0].to}', and --state is about '{main}'"
        raise UsageError(what, help="link all outputs to the model that keeps states")
    return SeveralModels(sources=sources, graphs=graphs, shapes=sizes_by_graph(graphs, shapes), main=main, links=links)


def _stateful(graphs: Mapping[str, onnx.GraphProto], state: StateRequest) -> str:
    found = {
        name: None
        for past, _ in state.patterns
        for name, graph in graphs.items()
        if any(star(past, value.name) is not None for value in real_inputs(graph))
    }
    if len(found) == 1:
        return next(iter(found))
    patterns = ", ".join(f"'{past}'" for past, _ in state.patterns)
    if not found:
        raise UsageError(f"--state: no input of {', '.join(graphs)} is called {patterns}", help="name inputs of one of the models")
    raise UsageError(f"--state: {' and '.join(found)} have inputs called {patterns}", help="one model of a bundle may keep states")


def steps_of(given: SeveralModels, state: StateRequest, tokens: Mapping[str, int], target: Target, stage: Stage) -> FixedModels:
    """Of the main model, whose caches grow. tokens: of a run, by entry. Raises UsageError for states without a length, and as
    `fixed_models`."""
    if state.length is None:
        raise UsageError("of several models, one may have caches that grow: --state needs --max-length", help="--max-length TOKENS")
    return fixed_models(given.source, state, state.length, tokens, given.shapes[given.main], stage, ways_of(target))


def sized_models(given: SeveralModels, readers: Mapping[str, Sequence[Reader]], entries: Iterable[str] = ()) -> dict[str, dict[str, Sized]]:
    """Entries of the other models, by model. entries: names of those of the main model. Raises UsageError for two of one name, and as
    `sized_entries`."""
    sized = {}
    for name in given.others:
        links = [link for link in given.links if link.model == name]
        read = {link.input: readers[link.input] for link in links}
        sized[name] = sized_entries(name, given.graphs[name], links, read, given.shapes[name])
    often = Counter((*entries, *(entry for each in sized.values() for entry in each)))
    twice = next((name for name, times in often.items() if times > 1), None)
    if twice is not None:
        raise UsageError(f"two entries are called '{twice}'", help="give the model another name: NAME=FILE")
    return sized


def readers_of(given: SeveralModels, fixed: FixedModels | None) -> dict[str, list[Reader]]:
    """By linked input of the main model, what each of its entries reads. Raises UsageError for an input that cannot be linked."""
    inputs = dict.fromkeys(link.input for link in given.links)
    if fixed is None:
        graph = load_model(given.source, given.shapes[given.main]).proto.graph
        return {name: [_reader(given.main, graph, name, None)] for name in inputs}
    pasts = {past for past, _ in fixed.states}
    found: dict[str, list[Reader]] = {}
    for name in inputs:
        said = "is a state, which stays where it is" if name in pasts else "has no rows of tokens, or follows from their number"
        if name in pasts or name not in fixed.inputs.axes:
            raise UsageError(f"'{name}' of '{given.main}' {said}: nothing can be linked to it", where="--link", help=FORM)
        found[name] = [_reader(entry, step.any.proto.graph, name, step.token_axes[name]) for entry, step in fixed.steps.items()]
    return found


def _reader(entry: str, graph: onnx.GraphProto, name: str, axis: int | None) -> Reader:
    kind = next(value for value in real_inputs(graph) if value.name == name).type.tensor_type
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    if 0 in shape or not shape or packed_bytes(DTYPE.get(kind.elem_type, ""), shape) is None:
        raise UsageError(
            f"'{name}' of '{entry}' has no size, so nothing can be linked to it", where="--link", help="give it one with --shape"
        )
    rows = next((k for k, size in enumerate(shape) if size > 1), 0) if axis is None else axis
    return Reader(entry=entry, shape=shape, element=kind.elem_type, axis=rows)


def link_plans(given: SeveralModels, readers: Mapping[str, Sequence[Reader]]) -> tuple[LinkPlan, ...]:
    """With the bytes that every entry keeps for each of them."""
    return tuple(_link_plan(link, readers[link.input]) for link in given.links)


def _link_plan(link: Link, readers: Sequence[Reader]) -> LinkPlan:
    first, most = readers[0], max(map(_bytes, readers))
    return LinkPlan(
        model=link.model,
        output=link.output,
        input=link.input,
        axis=first.axis,
        label=link.label,
        bytes=-(-most // ROW_ALIGN) * ROW_ALIGN,
        row=_bytes(first) // first.shape[first.axis],
    )


def _bytes(reader: Reader) -> int:
    return packed_bytes(DTYPE[reader.element], reader.shape) or 0
