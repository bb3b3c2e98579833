"""Limits on memory of a bundle of several models: all of them are loaded at once, and one entry runs at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msgspec import structs

from ....targets.cost import weights_memory
from ....targets.model import Target
from ...bundle.manifest import LimitRecord, Manifest
from ...plan.held import Held, weight_bytes
from ...plan.limits import broken, limit_records
from ...plan.predict import Predictions
from ..result import CompileResult

WHOLE = ("budget", "memory")
"""Of limits that are about the bundle as a whole."""


def whole_memory(results: Mapping[str, CompileResult], models: Mapping[str, str], target: Target) -> Predictions:
    """Bytes of every memory. Of the weights, those of each model once (what runtimes make of them beside, for every entry); of the arena
    and of what segments work in, the most that an entry takes. models: by entry."""
    held: dict[str, Held] = {}
    for memory in target.memories:
        plain: dict[str, int] = {}
        each = {name: found for name, result in results.items() if (found := result.predicted.held.get(memory.name)) is not None}
        more = 0
        for name, one in each.items():
            segments = [s for s in results[name].compiled.segments if weights_memory(target, s.device).name == memory.name]
            stored = min(weight_bytes(segments), one.weights)
            more += one.weights - stored
            plain[models[name]] = max(plain.get(models[name], 0), stored)
        if each:
            weights = sum(plain.values()) + more
            held[memory.name] = Held(
                weights=weights if memory.resident is None else min(weights, memory.resident),
                working=max(one.working for one in each.values()),
                arena=max(one.arena for one in each.values()),
                loading=max(one.loading for one in each.values()),
                runtime=max(one.runtime for one in each.values()),
                mapped=max(one.mapped for one in each.values()),
            )
    return replace(next(iter(results.values())).predicted, held=held)


def with_whole_limits(manifest: Manifest, results: Mapping[str, CompileResult], target: Target) -> Manifest:
    """The manifest, in which budgets and limits on memory of every entry say what the whole takes. Raises Infeasible for one that is
    broken."""
    models = {entry.name: entry.model or "" for entry in manifest.entries}
    found = {
        (record.kind, record.subject): record
        for record in limit_records(target, whole_memory(results, models, target))
        if record.kind in WHOLE
    }
    problem = broken(tuple(found.values()))
    if problem is not None:
        problem.message = f"all entries of the bundle together: {problem.message}"
        problem.help = "leave out an entry, make one of fewer tokens, or compile the models one by one"
        raise problem

    def joint(limits: tuple[LimitRecord, ...]) -> tuple[LimitRecord, ...]:
        return tuple(found.get((limit.kind, limit.subject), limit) for limit in limits)

    entries = tuple(
        entry if entry.plan is None else structs.replace(entry, plan=structs.replace(entry.plan, limits=joint(entry.plan.limits)))
        for entry in manifest.entries
    )
    return structs.replace(manifest, limits=joint(manifest.limits), entries=entries)
