"""Runs the pipeline's passes over a work, observed by watchers: a verifier, a printer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ..errors import UsageError, did_you_mean
from .table import PIPELINE, Pass
from .work import Work

Stage = Callable[[str], AbstractContextManager[None]]
"""Reports that a stage begins, and times it."""
Inserted = Mapping[str, tuple[Pass, ...]]
"""Passes to run after the pass of that name; BEFORE_THE_FIRST for those that run before all."""
NOTHING: Inserted = MappingProxyType({})
BEFORE_THE_FIRST = "load"


class Watcher(Protocol):
    """Sees the work before the first pass and after every pass, and leaves it as it is. May raise to stop the compilation."""

    @property
    def stage(self) -> str:
        """Under which its time is reported; "" if it is not."""

    def begin(self, work: Work) -> None: ...

    def after(self, row: Pass, work: Work) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    without: frozenset[str] = frozenset()
    """Names of rules that are not to be used."""
    inserted: Inserted = field(default_factory=dict)
    """The user's own passes (surgery/apply_pass.py)."""
    watchers: tuple[Watcher, ...] = ()
    objective: str = "latency"
    """What the placement is chosen for (`passes/place/objectives.py`)."""
    any_fitting: bool = False
    """Whether any plan will do that keeps the limits."""


PLAIN = PassOptions()


def run_passes(
    work: Work, stage: Stage, watchers: Sequence[Watcher] = (), until: str = "", inserted: Inserted = NOTHING, after: str = ""
) -> None:
    """The pipeline on `work`, to the pass named `until` and what is inserted after it, or to its end; on a work that it was run on before
    until `after` and what is inserted there, from there. Raises what passes and watchers raise."""
    first = [row.name for row in PIPELINE].index(after) + 1 if after else 0
    if not after:
        for watcher in watchers:
            with _timed(stage, watcher):
                watcher.begin(work)
        for row in inserted.get(BEFORE_THE_FIRST, ()):
            _run(row, work, stage, watchers)
    for row in PIPELINE[first:]:
        for one in (row, *inserted.get(row.name, ())):
            _run(one, work, stage, watchers)
        if row.name == until:
            return


def _run(row: Pass, work: Work, stage: Stage, watchers: Sequence[Watcher]) -> None:
    with stage(row.name):
        row.run(work)
    for watcher in watchers:
        with _timed(stage, watcher):
            watcher.after(row, work)


def _timed(stage: Stage, watcher: Watcher) -> AbstractContextManager[None]:
    return stage(watcher.stage) if watcher.stage else nullcontext()


def check_pass(name: str) -> str:
    """The name of a pass; raises UsageError for any other word."""
    known = [row.name for row in PIPELINE]
    if name not in known:
        close = did_you_mean(name, known)
        help = close if close.startswith("did") else f"the passes: {', '.join(known)}"
        raise UsageError(f"there is no pass '{name}'", help=help)
    return name
