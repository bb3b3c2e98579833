"""One compilation in progress: what the passes of the pipeline read and leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...passes.graph.graph import Graph
from ...passes.place.placed import Part, Placement, Question, Site
from ...passes.place.segment import Segment
from ...passes.rule.rewrite import Allow, Decision, Rewrite, anywhere
from ...targets.model import Target
from ..kept_places import NOTHING_KEPT, KeptPlaces


@dataclass(slots=True)
class Work:
    graph: Graph
    target: Target
    substitutes: tuple[Rewrite, ...]
    families: Mapping[str, tuple[Rewrite, ...]]
    effort: float
    """Times the solver's default time limit."""
    source_operators: Mapping[str, int]
    """Operators of the loaded model, by kind, before any pass."""
    plan: Placement | None = None
    """A plan to take instead of the fastest, of another compilation of the same model."""
    settled: Placement | None = None
    """The placement of this work's question that is to be taken, where prices of a runtime's own compiler have chosen it."""
    objective: str = "latency"
    """What the placement is chosen for (`passes/place/objectives.py`)."""
    diagnose: bool = True
    """Whether to look for the plan that breaks limits least where none keeps them."""
    any_fitting: bool = False
    """Whether any plan will do that keeps the limits: compilers need not be asked for a faster one."""
    formulas: tuple[Rewrite, ...] = ()
    """Rules of the target's file that stand for several operators."""
    without: frozenset[str] = frozenset()
    """Names of rules that are not to be used."""
    kept: KeptPlaces = NOTHING_KEPT
    """What lies at the start of the arena from run to run."""
    allow: Allow = anywhere
    decisions: list[Decision] = field(default_factory=list)
    own_passes: tuple[Decision, ...] = ()
    """Passes of the user that changed the graph; they are among `decisions` too."""
    recovered: dict[str, int] = field(default_factory=dict)
    """Operators in the graph once recovered and simplified, by kind."""
    question: Question | None = None
    placement: Placement | None = None
    parts: tuple[Part, ...] = ()
    sites: tuple[Site, ...] = ()
    segments: tuple[Segment, ...] = ()

    def enabled(self, rules: Iterable[Rewrite]) -> tuple[Rewrite, ...]:
        return tuple(rule for rule in rules if rule.name not in self.without)

    def copy(self) -> Work:
        """The work on a graph of its own, so that the next pass can be tried there (not `cut-segments`: parts keep their nodes)."""
        graph, twin = self.graph.copy()
        nodes = () if self.question is None else tuple(twin.get(id(node), node) for node in self.question.nodes)
        question = self.question and replace(self.question, graph=graph, nodes=nodes)

        def moved(placement: Placement | None) -> Placement | None:
            return replace(placement, question=question) if placement is not None and question is not None else None

        placement, settled = moved(self.placement), moved(self.settled)
        return replace(self, graph=graph, question=question, placement=placement, settled=settled, decisions=list(self.decisions))


Run = Callable[[Work], None]
