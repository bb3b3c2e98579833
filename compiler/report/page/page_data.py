"""Everything that the page shows of a bundle: its manifest, the operators of its segment files, and sums of those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.manifest_json import to_json
from ...bundle.phase_record import PhasesRecord
from ...run.bundle import Bundle
from ..phases import phase_lines
from ..quote import NO_SOURCE, SourceLines
from .explained import explained
from .lasting import lasting
from .measured import Measured, measured
from .operators import operators_of
from .plan_facts import plan_facts
from .predicted import predicted
from .segment_graph import segment_graph

PageData = Mapping[str, Any]
"""Plain data, as JSON has it: "name", "manifest" (all of it), and what is computed from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a page shows that is not in its bundle; None where nobody gave it."""

    why: Mapping[str, Any] | None = None
    """`OperatorsExplained.as_json()`."""
    source: SourceLines = NO_SOURCE
    """Of the target, whose lines `why` names."""
    compiled: Mapping[str, Any] | None = None
    """`CompileResult.as_json()`."""
    entry: EntryRecord | None = None
    """That the page is about, of a bundle that has several."""
    measured: tuple[tuple[str, Measured], ...] = ()
    """Records by the names of their files."""
    phases: PhasesRecord | None = None
    """Of the bundle that the shown entry is of."""


NOTHING = Beside()


def page_data(bundle: Bundle, beside: Beside = NOTHING) -> PageData:
    """What the page is made of. Raises BundleError for a segment's file that cannot be read.

    - name: of the bundle's folder; digest: sha256 of its manifest.
    - manifest: manifest.json as it is.
    - package: bytes of the files, by what they are; the manifest itself is not counted.
    - predicted: the schedule in seconds (predicted.py).
    - lasting: sentences about what stays from run to run, by heading (lasting.py).
    - graph: segments and what goes between them (segment_graph.py).
    - tensors, operators: of the segments (operators.py).
    - why: what devices say of the operators (explained.py), plan: what the compilation knew besides (plan_facts.py); null where not given.
    - measured: a record each (measured.py).
    - phases: sentences on models of the bundle that take turns in memory (../phases.py).
    """
    manifest = bundle.manifest
    shown = operators_of(bundle.folder, manifest)
    return {
        "name": bundle.folder.resolve().name,
        "digest": bundle.digest,
        "signed": bundle.signed,
        "manifest": json.loads(to_json(manifest)),
        "package": _package(manifest),
        "predicted": predicted(manifest),
        "lasting": lasting(manifest, beside.entry),
        "graph": segment_graph(manifest),
        **shown,
        "why": None if beside.why is None else explained(beside.why, shown, manifest, beside.source),
        "plan": None if beside.compiled is None else plan_facts(beside.compiled),
        "measured": [measured(name, record, manifest) for name, record in beside.measured],
        "phases": [] if beside.phases is None else list(phase_lines(to_builtins(beside.phases))),
    }


def _package(manifest: Manifest) -> list[dict[str, Any]]:
    """The largest first."""
    models = {segment.file for segment in manifest.segments}
    found: dict[str, dict[str, Any]] = {}
    for path, file in manifest.files.items():
        compiled = file.compiled_from is not None
        what = "compiled ahead of time" if compiled else "segment graphs" if path in models else "weights and other data"
        entry = found.setdefault(what, {"what": what, "files": 0, "bytes": 0})
        entry["files"] += 1
        entry["bytes"] += file.size
    return sorted(found.values(), key=lambda one: (-one["bytes"], one["what"]))
