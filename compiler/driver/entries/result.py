"""What compiling several entries returns, and its summary as plain data for screens and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ...bundle.entries import views
from ...bundle.manifest import SEGMENTS, Manifest
from ...bundle.manifest_json import to_json
from ...bundle.resident import resident_facts
from ...bundle.weights import WEIGHTS
from ...run.bundle import Bundle
from ...verify.report import VerifyReport
from ...verify.verdicts import elsewhere
from ..result import CompileResult, precision_facts, summary
from .whole_limits import WHOLE, whole_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesResult:
    """What compiling several entries decided, beside the bundle that it wrote."""

    folder: Path
    manifest: Manifest
    results: Mapping[str, CompileResult]
    """Of each entry, as it was compiled alone."""
    verification: Mapping[str, VerifyReport | str]
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    """About the bundle as a whole."""
    together: VerifyReport | str = ""
    """Of several models as links join them, or why they were not compared so; "" where no links do."""

    @property
    def verified(self) -> bool:
        """Whether every entry is, and several models together."""
        each = [*self.verification.values(), *([self.together] if self.together else [])]
        return all(not isinstance(one, str) and one.verified for one in each)

    @property
    def bundle(self) -> Bundle:
        """The bundle, loaded."""
        return Bundle.load(self.folder)

    def as_json(self) -> dict[str, Any]:
        """What `compile --json` prints: `entries` has what a compilation of each alone would say."""
        return summary_of(self)


def summary_of(result: EntriesResult) -> dict[str, Any]:
    """Bytes of the whole, and for each entry what a compilation of it alone says, with the verdict on it in the bundle."""
    manifest, plans = result.manifest, views(result.manifest)
    reasons = {name: list(plan.verification.reasons) for name, plan in zip(result.results, plans, strict=True)}
    sizes = {name: record.stored for name, record in manifest.files.items()}
    weights = sizes[f"{SEGMENTS}/{WEIGHTS}"]
    models = sum(sizes[segment.file] for plan in plans for segment in plan.segments)
    whole = {
        "weights": weights,
        "segments": models,
        "compiled": sum(sizes.values()) - weights - models,
        "manifest": len(to_json(manifest).encode()),
    }
    if manifest.together is not None:
        reasons["together"] = list(manifest.together.reasons)
    return {
        "bundle": str(result.folder),
        "target": manifest.target.name,
        "verified": result.verified,
        "reasons": list(dict.fromkeys(reason for each in reasons.values() for reason in each)),
        "elsewhere": list(dict.fromkeys(line for plan in plans for line in elsewhere(plan.verification.segments))),
        "entries": {name: _entry(result, name, plan) for name, plan in zip(result.results, plans, strict=True)},
        "together": _verdict(result.together) if result.together else None,
        "states": to_builtins(manifest.states),
        "links": to_builtins(manifest.links),
        "limits": _limits(manifest),
        "memory": _memory(result),
        "arena": {"bytes": max(plan.arena.total for plan in plans), "states": _kept(result)},
        "package": {"bytes": sum(whole.values()), **whole},
        "precision": None if manifest.precision is None else precision_facts(manifest.precision),
        "resident": resident_facts(manifest),
        "phases": to_builtins(manifest.phases),
        "notes": list(dict.fromkeys((*(note for one in result.results.values() for note in one.notes), *result.notes))),
        "seconds": dict(result.seconds),
    }


def _kept(result: EntriesResult) -> int:
    """Bytes of the arena that caches take."""
    return sum(state.bytes * (2 if state.copied else 1) for state in result.manifest.states)


def _limits(manifest: Manifest) -> list[dict[str, Any]]:
    """Those that are about all entries together, of a bundle whose session has all of them."""
    return [to_builtins(limit) for limit in manifest.limits if limit.kind in WHOLE] if manifest.models or manifest.states else []


def _memory(result: EntriesResult) -> list[dict[str, Any]]:
    """Of a session that has all entries loaded, the terms of every memory; [] where each entry has a session of its own."""
    if not (result.manifest.models or result.manifest.states):
        return []
    target = next(iter(result.results.values())).work.target
    models = {entry.name: entry.model or "" for entry in result.manifest.entries}
    whole = whole_memory(result.results, models, target)
    return [
        {
            "name": name,
            "own": {entry: one.predicted.held[name].own for entry, one in result.results.items() if name in one.predicted.held},
            **{term: getattr(held, term) for term in ("weights", "shared", "mapped", "arena", "working", "runtime")},
            "running": held.total,
            "loading": held.while_loading,
        }
        for name, held in whole.held.items()
    ]


def _appended(plan: Manifest) -> int:
    """Bytes of new rows that a session puts into the caches after a run, since what computes them does not."""
    shapes = {value.name: value.shape for value in plan.model.inputs}
    states = {state.present: state for state in plan.states}
    outputs = (value for value in plan.model.outputs if value.name in states and value.slot is not None)
    return sum(plan.arena.slots[value.slot or 0].bytes for value in outputs if value.shape != shapes[states[value.name].past])


def _entry(result: EntriesResult, name: str, plan: Manifest) -> dict[str, Any]:
    record = next(entry for entry in result.manifest.entries if entry.name == name)
    report = result.verification[name]
    facts = summary(result.results[name]) | {"verified": not isinstance(report, str) and report.verified}
    facts |= {"model": record.model, "tokens": record.tokens, "shapes": dict(record.shapes), "appended": _appended(plan)}
    return {**facts, "verification": _verdict(report)}


def _verdict(report: VerifyReport | str) -> dict[str, Any]:
    return {"skipped": report} if isinstance(report, str) else report.as_json()
