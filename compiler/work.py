"""One compilation in progress: what the passes of the pipeline read and leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..passes.cut_segments import Cut
from ..passes.graph import Graph
from ..passes.placed import Part, Placement, Question, Site
from ..passes.rewrite import Decision, Rewrite
from ..targets.model import Target


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
    asked_for: Placement | None = None
    """A plan to take instead of the fastest, of another compilation of the same model."""
    decisions: list[Decision] = field(default_factory=list)
    recovered: dict[str, int] = field(default_factory=dict)
    """Operators in the graph once recovered and simplified, by kind."""
    question: Question | None = None
    placement: Placement | None = None
    parts: tuple[Part, ...] = ()
    sites: tuple[Site, ...] = ()
    cuts: tuple[Cut, ...] = ()


Run = Callable[[Work], None]
