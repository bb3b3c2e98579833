"""Limits on memory of a bundle of several models: all of them are loaded at once or, where that is too much and they can, in turn; and one
entry runs at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from msgspec import structs

from ....targets.model import Target
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import LimitRecord, Manifest
from ...bundle.phase_record import PhaseRecord, PhasesRecord
from ...errors import Infeasible
from ...plan.held import Held
from ...plan.limits import broken, limit_records
from ...plan.predict import Predictions
from ..result import CompileResult

WHOLE = ("budget", "memory")
"""Of limits that are about the bundle as a whole."""
HELP = "leave out an entry, or make one of fewer tokens"
RESIDENT = "; or --resident SIZE, with which entries share what kernels want of the weights"


def whole_memory(
    results: Mapping[str, CompileResult], models: Mapping[str, str], target: Target, open_models: Collection[str] | None = None
) -> Predictions:
    """Bytes of every memory. Of the weights, those that a session has for itself for every entry, and those that sessions read in one place
    once for each model; of the arena and of what segments work in, the most that an entry takes. models: by entry.

    open_models: those that are loaded, all by default. A memory that holds weights alone has those of all models at any time."""
    first, held = next(iter(results.values())).predicted, dict[str, Held]()
    for memory in target.memories:
        shared: dict[str, int] = {}
        each = {
            name: found
            for name, result in results.items()
            if (found := result.predicted.held.get(memory.name)) is not None
            and (open_models is None or models[name] in open_models or memory.name in first.stores)
        }
        for name, one in each.items():
            shared[models[name]] = max(shared.get(models[name], 0), one.shared)
        if each:
            together = sum(shared.values())
            weights = together + sum(one.own for one in each.values())
            held[memory.name] = Held(
                weights=weights if memory.resident is None else min(weights, memory.resident),
                shared=together if memory.resident is None else min(together, memory.resident),
                working=max(one.working for one in each.values()),
                arena=max(one.arena for one in each.values()),
                loading=max(one.loading for one in each.values()),
                runtime=max(one.runtime for one in each.values()),
                mapped=max(one.mapped for one in each.values()),
            )
    return replace(first, held=held)


def turns(links: Sequence[LinkRecord], models: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Models that need not be loaded at the same time, each with those that are beside it: () where all have to be.

    A model that only places rows (`@ROWS`) runs once for an image, before the step that reads them; nothing of it but those rows is needed
    then. One that writes all rows of an input is needed for every token, and before such a model as well. models: the one that links lead
    to first."""
    labels = {name: [link.label for link in links if link.model == name] for name in models[1:]}
    placing = [name for name, each in labels.items() if each and all(each)]
    beside = [name for name in labels if name not in placing]
    return tuple((name, *beside) for name in (*placing, models[0])) if placing else ()


def with_whole_limits(manifest: Manifest, results: Mapping[str, CompileResult], target: Target) -> Manifest:
    """The manifest, in which budgets and limits on memory of every entry say what the whole takes; where all models at once take too much,
    with the phases in which they take turns. Raises Infeasible for a limit that is broken all the same."""
    models = {entry.name: entry.model or "" for entry in manifest.entries}
    at_once, phases = whole_memory(results, models, target), None
    found = _limits(target, [at_once])
    problem, said = broken(tuple(found.values())), "all entries of the bundle together"
    open_in = () if problem is None else turns(manifest.links, tuple(dict.fromkeys(models.values())))
    if open_in:
        each = {names[0]: whole_memory(results, models, target, names) for names in open_in}
        found, phases = _limits(target, list(each.values())), _phases(at_once, each)
        problem, said = broken(tuple(found.values())), f"with models in memory one after the other ({', '.join(each)})"
    if problem is not None:
        problem.message = f"{said}: {problem.message}"
        shareable = any(memory.resident is None and held.own for memory in target.memories if (held := at_once.held.get(memory.name)))
        problem.help = f"this plan takes {int(problem.demand):,} B; {HELP}{RESIDENT if shareable else ''}"
        raise problem
    return _with_limits(structs.replace(manifest, phases=phases), found)


def in_turn(manifest: Manifest, results: Mapping[str, CompileResult], target: Target) -> Manifest | None:
    """The manifest, whose models take turns although the target's limits would not ask for it; None where they cannot."""
    models = {entry.name: entry.model or "" for entry in manifest.entries}
    open_in = turns(manifest.links, tuple(dict.fromkeys(models.values())))
    if not open_in:
        return None
    each = {names[0]: whole_memory(results, models, target, names) for names in open_in}
    return structs.replace(manifest, phases=_phases(whole_memory(results, models, target), each))


@contextmanager
def about_entry(name: str, entries: int) -> Iterator[None]:
    """Says of a limit that an entry breaks by itself that what would do for it need not do for all of them."""
    try:
        yield
    except Infeasible as problem:
        if entries > 1 and problem.resource.split()[0] in WHOLE:
            enough = f"that is enough for the entry '{name}' alone, and all entries together take more"
            problem.help = f"{problem.help}; {enough}" if problem.help else f"the entry '{name}' breaks it by itself"
        raise


def _limits(target: Target, times: Sequence[Predictions]) -> dict[tuple[str, str], LimitRecord]:
    """By kind and subject, what the most that is held at any of the times says of limits on the whole."""
    found: dict[tuple[str, str], LimitRecord] = {}
    for record in (record for one in times for record in limit_records(target, one) if record.kind in WHOLE):
        known = found.get((record.kind, record.subject))
        if known is None or (record.value or 0) > (known.value or 0):
            found[record.kind, record.subject] = record
    return found


def _phases(at_once: Predictions, each: Mapping[str, Predictions]) -> PhasesRecord:
    phases = [
        PhaseRecord(
            model=name,
            running={memory: held.total for memory, held in one.held.items()},
            loading={memory: held.while_loading for memory, held in one.held.items()},
        )
        for name, one in each.items()
    ]
    return PhasesRecord(at_once={memory: held.total for memory, held in at_once.held.items()}, each=tuple(phases))


def _with_limits(manifest: Manifest, found: Mapping[tuple[str, str], LimitRecord]) -> Manifest:
    def joint(limits: tuple[LimitRecord, ...]) -> tuple[LimitRecord, ...]:
        return tuple(found.get((limit.kind, limit.subject), limit) for limit in limits)

    entries = tuple(
        entry if entry.plan is None else structs.replace(entry, plan=structs.replace(entry.plan, limits=joint(entry.plan.limits)))
        for entry in manifest.entries
    )
    return structs.replace(manifest, limits=joint(manifest.limits), entries=entries)
