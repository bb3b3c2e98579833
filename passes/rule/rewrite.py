"""What a rewrite rule is, and how it is found at a node.

A rule is data: formulas (or a match function), conditions, a replacement and a contract about the difference it
makes. Finding a rule changes nothing; `propose` only writes unattached nodes, so that devices can be tried on them before
anything is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...targets.dtypes import FLOATS, HALVES, ROUNDOFF
from ..formula.pattern import Formula, Outline, Pairing, Value, outline
from ..formula.reading import Found, Readings
from ..formula.region import Reader
from ..formula.walk import Region, region
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import first_opset
from .build import Builder, UnknownDtype

Allow = Callable[[str, str], bool]
"""Whether a rule (its name) may be applied at the node that writes a tensor; called once per application, just before it."""
MAX_CANDIDATES = 16
ROUNDING: Mapping[str, float] = {dtype: 4 * ROUNDOFF[dtype] for dtype in HALVES}
"""Relative tolerance on a formula's coefficients where the model rounded its own: a few roundings of the dtype."""


CONTRADICTION = "sizes in the model contradict each other"
UNFIT = (ValueError, IndexError)
"""What arithmetic on shapes and constants raises where those of the model contradict each other, as in a damaged file: the rule does not
apply, and whoever runs the operator says what is wrong with it. On sound models each rule must fire (tests/passes/test_every_rule.py), so
that a rule's own fault is not taken for this."""


@dataclass(frozen=True, slots=True)
class Contract:
    """How the replacement's value differs from the original's, per element of the output.

    exact: bit for bit. reassociates: equal over the reals, floating point rounds differently. bounded: over the reals off by at
    most `absolute`, rounding on top."""

    kind: Literal["exact", "reassociates", "bounded"]
    absolute: float = 0.0
    over: str = "all reals"
    range: tuple[float, float] | None = None
    """The inputs for which `absolute` is claimed; None for all."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a rule found: the root node and the value of everything its formula or match function left open."""

    root: Node
    values: Mapping[str, Value]

    def __getitem__(self, name: str) -> str:
        """The tensor of that name."""
        value = self.values[name]
        if not isinstance(value, str):
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def number(self, name: str) -> float:
        value = self.values[name]
        if not isinstance(value, float | int):
            raise KeyError(name)
        return float(value)

    def integers(self, name: str) -> tuple[int, ...]:
        value = self.values[name]
        if not isinstance(value, tuple):
            raise KeyError(name)
        return value


@dataclass(frozen=True, slots=True)
class Replacement:
    """New nodes in topological order, not in the graph yet, and which tensor takes over which output of the root
    ({"old tensor": "new tensor"}). Without nodes the old output's readers are to read an existing tensor instead."""

    nodes: tuple[Node, ...]
    outputs: Mapping[str, str]


Build = Callable[[Builder, Bindings], str | tuple[str, ...]]
"""Writes what a rule puts in the root's place and names the tensor that takes over the root's first output, or one for each of the
root's outputs from the first on. Without new nodes it is a tensor that is there already. The root and the graph stay as they are."""


@dataclass(frozen=True, slots=True)
class Match:
    rule: Rewrite
    found: Bindings


@dataclass(frozen=True, slots=True)
class Declined:
    """The formula is there, but the rule does not apply; the reason is a sentence without a full stop."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    rule: str
    site: str
    """Name of the root node."""
    tensor: str
    taken: bool
    reason: str
    bound: float
    contract: str


def anywhere(rule: str, tensor: str) -> bool:
    """The `Allow` of an ordinary compilation."""
    return True


def always(graph: Graph, found: Bindings) -> str | None:
    """The condition of a rule that applies wherever it matches."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    name: str
    summary: str
    """What it does, as mathematics in one line."""
    operators: tuple[str, ...]
    """Kinds the root (last) node can have."""
    emits: tuple[str, ...]
    """Kinds the replacement may contain."""
    contract: Contract
    build: Build
    pattern: tuple[Formula, ...] = ()
    """Spellings beyond order and grouping; the first that fits counts."""
    match: Callable[[Graph, Node], Bindings | None] | None = None
    """Instead of `pattern`."""
    unless: Callable[[Graph, Bindings], str | None] = always
    """Why the rule does not apply, as a sentence without a full stop; None if it applies."""
    before: tuple[str, ...] = ()
    """Names of rules that may match at the same root, and would leave more to compute there: this one is tried first (order.py)."""
    tolerance: float = 1e-5
    """Relative, on the coefficients of `pattern`."""
    once: bool = False
    """Whether it leaves alone what it wrote itself, as rules with a `pattern` do: that may hold what it looks for, and would grow."""
    about: Outline = field(init=False)
    """What a graph must have for `pattern` to be there at all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "about", outline(self.pattern))

    def find(self, graph: Graph, node: Node, site: Site | None = None) -> Match | Declined | None:
        """Whether the rule applies at this root. Nothing is changed."""
        if node.kind not in self.operators:
            return None
        try:
            return self._find(graph, node, site)
        except UNFIT as problem:
            return Declined(self.name, f"{CONTRADICTION}: {problem}")

    def _find(self, graph: Graph, node: Node, site: Site | None) -> Match | Declined | None:
        found = self.match(graph, node) if self.match else _find(site or self._alone(graph, node), self)
        if found is None:
            return None
        for operator in self.emits:
            first = first_opset(operator.rpartition("::")[2], operator.rpartition("::")[0])
            if first > graph.newest:
                reason = f"{operator} exists since opset {first}; the model (opset {graph.opset}) can have operators up to {graph.newest}"
                return Declined(self.name, reason)
        against = self.unless(graph, found)
        return Match(self, found) if against is None else Declined(self.name, against)

    def _alone(self, graph: Graph, node: Node) -> Site:
        return Site(graph, node, Readings(Reader(graph, calls=self.about.calls)))

    def propose(self, graph: Graph, node: Node, site: Site | None = None) -> Replacement | Declined | None:
        """The new nodes, unattached: give them to `insert`, or drop them."""
        match = self.find(graph, node, site)
        try:
            return self.replacement(graph, match.found) if isinstance(match, Match) else match
        except UnknownDtype as problem:
            return Declined(self.name, str(problem))
        except UNFIT as problem:
            return Declined(self.name, f"{CONTRADICTION}: {problem}")

    def replacement(self, graph: Graph, found: Bindings) -> Replacement:
        """What the rule writes for what it found; no condition is checked. Raises UnknownDtype, or one of UNFIT, with nothing left
        in the graph."""
        b = Builder.at(graph, found.root)
        try:
            result = self.build(b, found)
        except (UnknownDtype, *UNFIT):
            graph.discard(b.nodes)
            raise
        results = (result,) if isinstance(result, str) else result
        return Replacement(tuple(b.nodes), {old: new for old, new in zip(found.root.outputs, results, strict=False) if old})


def reassociating(
    name: str, summary: str, operator: str, emits: tuple[str, ...], match: Callable[[Graph, Node], Bindings | None], build: Build
) -> Rewrite:
    """A rule of one operator whose result is the same over the reals."""
    return Rewrite(
        name=name, summary=summary, operators=(operator,), emits=emits, contract=Contract("reassociates"), match=match, build=build
    )


class Site:
    """One root, shared by the rules tried there: what lies behind it is walked once."""

    def __init__(self, graph: Graph, node: Node, readings: Readings) -> None:
        self.graph, self.node, self.readings = graph, node, readings
        self._region: Region | None = None
        self._found: dict[tuple[str, bool, bool], Found | None] = {}

    @property
    def region(self) -> Region:
        if self._region is None:
            self._region = region(self.readings.reader, self.node)
        return self._region

    def reading(self, candidate: str, weights: bool, others: bool) -> Found | None:
        """What the root computes from one candidate for x; None if it is no formula of it."""
        key = (candidate, weights, others)
        if key not in self._found:
            self._found[key] = self.readings.find(self.node.outputs[0], *key)
        return self._found[key]


def _find(site: Site, rule: Rewrite) -> Bindings | None:
    """Tries every tensor behind the root as the formula's x (its first unknown)."""
    graph, node, about = site.graph, site.node, rule.about
    if not about.common <= site.region.functions:
        return None
    dtype = graph.tensor(node.outputs[0]).dtype
    if dtype not in FLOATS or len(node.writes) != 1:
        return None
    behind = site.region
    formulas = [(f, n, m) for f, n, m in zip(rule.pattern, about.functions, about.masks, strict=True) if n <= behind.functions]
    if not formulas:
        return None
    candidates = behind.chain if about.once else [tensor for tensor, reads in behind.reads.items() if reads > 1]
    candidates = [t for t in candidates if behind.calls[t] <= about.calls and any(not behind.masks[t] & ~m for _, _, m in formulas)]
    for candidate in candidates[:MAX_CANDIDATES]:
        if graph.tensor(candidate).dtype != dtype:
            continue
        reading = site.reading(candidate, about.weights, about.others)
        if reading is None or not _same_shape(graph, candidate, reading):
            continue
        content, tolerance = reading.result.content, max(rule.tolerance, ROUNDING.get(dtype, 0.0))
        for formula in (f for f, needs, _ in formulas if needs == content.functions):
            pairing = Pairing(tolerance, frozenset(t for t in content.tensors if t in graph.constants))
            for values in pairing.pair(formula, reading.result, {"x": candidate}):
                return Bindings(node, _as_read(site.readings.reader, values))
    return None


def _as_read(reader: Reader, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """What was read past its quantisation is read behind it again: only what lies inside the formula is no longer quantised."""
    grids = reader.grids
    return values if grids is None else {k: grids.behind(v) if isinstance(v, str) else v for k, v in values.items()}


def _same_shape(graph: Graph, x: str, reading: Found) -> bool:
    """Whether no constant that was read as one number broadcasts x to a larger shape."""
    shape = graph.tensor(x).shape
    for name in reading.constants:
        other = graph.tensor(name).shape
        if shape is None or other is None or len(other) > len(shape):
            return False
        if any(extent not in (1, shape[k]) for k, extent in enumerate(other, start=len(shape) - len(other))):
            return False
    return True
