"""A decoder's bundle held against the untouched model: every entry, from an empty cache and behind the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from ...bundle.entries import views
from ...load.source import Source
from ...reference.recall import Recalling
from ...reference.store import default_store
from ..grounds import grounds
from ..reference import read_graph
from ..report import VerifyReport, differences
from ..terms import EXACT, NARROW, STORED
from ..trial import Untouched
from ..verdicts import elsewhere, segment_verdicts
from .step_feeds import StepFeeds, empty_caches, stated_shapes
from .steps import Steps, compare_steps, run_scripts, scripts
from .stored_caches import stored_caches

if TYPE_CHECKING:
    from ...bundle.manifest import Manifest
    from ..verifiable import Ran


class Entries(Steps, Protocol):
    """A decoder that says what runs each of its entries, or did (run/decoder/decoder.py)."""

    @property
    def ran(self) -> Mapping[str, Ran]: ...

    def close(self) -> None: ...


def verify_decoder(
    source: Source, manifest: Manifest, decoder: Entries, *, emulate: bool, tell: Callable[[str], None]
) -> Mapping[str, VerifyReport]:
    """A report for each entry: outputs and caches are compared for all of them together, segments are its own."""
    with ExitStack() as stack:
        return _reports(source, manifest, decoder, stack, emulate, tell)


def _reports(
    source: Source, manifest: Manifest, decoder: Entries, stack: ExitStack, emulate: bool, tell: Callable[[str], None]
) -> Mapping[str, VerifyReport]:
    entries = {entry.name: entry for entry in manifest.entries}
    sizes = {name: entry.tokens or 1 for name, entry in entries.items()}
    length = min(state.length for state in manifest.states if state.length)
    plans = scripts(sizes, length)
    axes = next(iter(entries.values())).token_axes
    feeds = StepFeeds(read_graph(source), axes, empty_caches(manifest), stated_shapes(manifest))
    seen = run_scripts(decoder, plans, feeds, axes, tell)
    ran = decoder.ran
    decoder.close()  # what it holds of weights goes before the untouched model takes its memory
    tell("evaluating the untouched model")
    untouched = Untouched(stack.enter_context(Recalling(source, default_store())), ())
    stored = stored_caches(source, read_graph(source), manifest, stack)
    narrow = any(entry.narrow for entry in ran.values())
    terms = NARROW if narrow else EXACT if stored is None else STORED
    found = compare_steps(untouched, seen, terms=terms, narrow=narrow, stored=stored, tell=tell)
    wrong = differences(found.outputs, ())
    rests = grounds(found.outputs, found.labels, found.terms, untouched.unchecked)
    reports = {}
    for view, (name, session) in zip(views(manifest), ran.items(), strict=True):
        segments = segment_verdicts(view, session)
        away = () if emulate else elsewhere(segments)
        reasons = (*wrong, *away)
        reports[name] = VerifyReport(
            verified=not reasons,
            reason="; ".join(reasons or (rests,)),
            reasons=reasons,
            outputs=found.outputs,
            boundaries=(),
            constant=(),
            unresponsive=(),
            inputs=found.labels,
            approximated=False,
            limits=(),
            emulated=session.emulated,
            narrow=session.narrow,
            native=session.native,
            segments=segments,
            runtime_faults=tuple(f"{path}: {said}" for path, said in untouched.faults.items()),
            unchecked=tuple(f"{path}: {said}" if path else said for path, said in untouched.unchecked.items()),
        )
    return reports
