"""What a compilation returns, and its summary as plain data for screens and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs, to_builtins

from ...passes.place.objectives import LATENCY
from ...passes.place.placed import Placement
from ..bundle.graph import Level, bundle_graph
from ..bundle.manifest import Manifest
from ..bundle.memory_facts import schedule_of, transfers_of
from ..bundle.precision_record import PrecisionRecord
from ..bundle.resident import resident_facts
from ..bundle.state_record import WayRecord
from ..bundle.verification_record import SegmentVerdict
from ..emit.facts import implementations
from ..emit.package import parts
from ..pipeline.work import Work
from ..plan.held import weight_bytes
from ..plan.operator_seconds import operator_seconds
from ..plan.predict import Predictions
from ..plan.segment_times import SegmentTime
from ..plan.segments import Compiled
from ..quantities import count, size, time
from ..run.bundle import Bundle
from ..verify.report import VerifyReport
from ..verify.verdicts import elsewhere
from ..watch.verify_each import Checked
from .placed_operators import placed_operators

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """What a compilation decided, beside the bundle that it wrote; `compile_model` returns one."""

    folder: Path
    """The bundle's folder."""
    manifest: Manifest
    """What stands in the bundle: segments, schedule, arena, handoffs, limits, errors."""
    work: Work
    """The graph, placement and decisions of the pipeline, for those who work on the compiler."""
    compiled: Compiled
    """The segments, as they were cut."""
    predicted: Predictions
    """Time, bytes and energy of the plan, term by term."""
    notes: tuple[str, ...]
    """What a user may want to know, a sentence each."""
    times: tuple[SegmentTime, ...]
    """Of every segment as it was emitted, kernel by kernel."""
    seconds: Mapping[str, float]
    """Wall time per stage of the compiler."""
    verification: VerifyReport | str
    """The report, or why there is none: it was not asked for."""
    checked: tuple[Checked, ...] = ()
    """What each pass did to the outputs, with `verify_each`."""
    ways: tuple[WayRecord, ...] = ()
    """How it could be written, of a step of a decoder."""

    @property
    def verified(self) -> bool:
        """Whether the bundle was held against the model and is verified: `VerifyReport.verified`."""
        return self.manifest.verification.verified

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not verified, a sentence each; () where it is."""
        return self.manifest.verification.reasons

    @property
    def segments(self) -> tuple[SegmentVerdict, ...]:
        """What each segment was judged on."""
        return self.manifest.verification.segments

    @property
    def bundle(self) -> Bundle:
        """The bundle, loaded. Raises BundleError where it is not what was written."""
        return Bundle.load(self.folder)

    def graph(self, level: Level = "operators") -> networkx.DiGraph[str]:
        """`Bundle.graph`, with the operators as they were placed: those of the model, before the rewrites for their devices.

        Instead of `kernel` they have `rule` (the rewrite by which their device runs them, "native" without one), and `seconds`: the
        operator's share of the predicted time, launch included, of the kernel that was emitted for it. A segment's `seconds` are those of
        its operators and one dispatch. Raises UsageError for another level.

        >>> result = autoglmc.compile_model("lightnet.onnx", "a16", shapes={"batch": 1}, verify=False)
        >>> graph = result.graph()
        >>> operators = [facts for _, facts in graph.nodes(data=True) if facts["kind"] == "operator"]
        >>> slowest = max(operators, key=lambda facts: facts["seconds"])
        >>> slowest["operator"], slowest["device"], slowest["rule"]
        ('Conv', 'npu', 'native')
        """
        placement = self.work.placement
        assert placement is not None
        seconds = operator_seconds(placement, self.compiled, self.times)
        return bundle_graph(self.manifest, *placed_operators(placement, seconds), level)

    def as_json(self) -> dict[str, Any]:
        """What `compile --json` prints: seconds, bytes, plain names."""
        return summary(self)

    def __repr__(self) -> str:
        facts = self.as_json()
        latency, devices = facts["latency"], [d for d in facts["devices"] if d["operators"]]
        on = ", ".join(f"{d['operators']} on {d['name']}" for d in devices)
        rest = "" if latency["all_host"] is None else f", all on the host {time(latency['all_host'] * latency['as_emitted'])}"
        report = self.verification
        verified = f"not verified: {report}" if isinstance(report, str) else report.summary
        lines = [
            f"<CompileResult {str(self.folder)!r} for {facts['target']}",
            f"  operators  {on}, in {count(len(self.manifest.segments), 'segment')}",
            f"  predicted  {time(latency['predicted'])}{rest}",
            f"  arena      {size(facts['arena']['bytes'])}",
            f"  {verified}>",
        ]
        return "\n".join(lines)


def summary(result: CompileResult) -> dict[str, Any]:
    """Everything the screen shows, as JSON: seconds, bytes, plain names."""
    placement = result.work.placement
    assert placement is not None
    verification, disk = result.verification, parts(result.manifest)
    return {
        "bundle": str(result.folder),
        "verified": result.verified,
        "reasons": list(result.reasons),
        "elsewhere": list(elsewhere(result.segments)),
        "segments": [structs.asdict(verdict) for verdict in result.segments],
        "target": result.manifest.target.name,
        "host": result.work.target.host.name,
        "operators": {"before": sum(result.work.source_operators.values()), "recovered": result.work.recovered},
        "devices": _devices(result),
        "handoffs": _handoffs(result),
        "objective": _objective(result, placement),
        "latency": _latency(result, placement),
        "confidence": to_builtins(result.manifest.confidence),
        "uncosted": to_builtins(result.manifest.uncosted),
        "arena": {"bytes": result.manifest.arena.total, "lower_bound": result.manifest.arena.lower_bound},
        "memory": _memory(result),
        "energy": _energy(result.predicted),
        "package": {"bytes": sum(disk.values()), **disk},
        "limits": [
            {"name": f"{r.kind} {r.subject}".strip(), "comparison": r.comparison, "limit": r.limit, "text": r.text, "basis": r.basis}
            | {"value": r.value, "margin": r.margin, "origin": r.origin, "unproven": r.unproven}
            for r in result.manifest.limits
        ],
        "precision": None if result.manifest.precision is None else precision_facts(result.manifest.precision),
        "pruning": to_builtins(result.manifest.pruning),
        "scores": to_builtins(result.manifest.scores),
        "rewrites": _rewrites(result),
        "guesses": [{"path": g.path, "text": g.text, "origin": g.origin, "decided": g.decided} for g in result.manifest.guesses],
        "search": [structs.asdict(one) for one in result.manifest.search],
        "resident": resident_facts(result.manifest),
        "notes": list(result.notes),
        "seconds": dict(result.seconds),
        "passes": [asdict(checked) for checked in result.checked],
        "verification": {"skipped": verification} if isinstance(verification, str) else verification.as_json(),
    }


def precision_facts(record: PrecisionRecord) -> dict[str, Any]:
    """How many operators are in which form, where scales come from, and what became of weights and accuracy."""
    facts: dict[str, Any] = to_builtins(record)
    operators = {form: len(names) for form, names in record.forms.items()}
    return facts | {"operators": operators, "units": [one.as_json() for one in record.units]}


def _latency(result: CompileResult, placement: Placement) -> dict[str, Any]:
    """`predicted` and its terms are of what was emitted. `placed` is what operators were placed by, before they were spelled for their
    runtimes: other plans and the bound are of that kind; `as_emitted` times as long is what they would take, as far as that is known.
    `estimated` is what compilers of the runtimes say of their segments, and `rated` what the target's rates say of the same; operators are
    placed by the former, unless the plan was given. Where tensors have memories to choose from, there is no bound: what that saves depends
    on the whole plan, and operators were placed by what it was expected to save."""
    solution, chosen = placement.solution, any(segment.memories is not None for segment in result.manifest.segments)
    price, predicted = solution.price, result.predicted.latency
    asked = [time for time in result.times if time.compiled is not None]
    estimated, rated = sum(time.compiled or 0.0 for time in asked), sum(time.rated for time in asked)
    unlike = 0.0 if placement.question.compiled else rated - estimated
    return {
        "predicted": predicted,
        "compute": price.compute + (predicted - price.total),
        "dispatch": price.dispatch,
        "handoff": price.handoff,
        "placed": price.total,
        "as_emitted": (predicted + unlike) / price.total if price.total else 1.0,
        "estimated": estimated if asked else None,
        "rated": rated if asked else None,
        "all_host": placement.all_host.total if placement.all_host else None,
        "greedy": placement.greedy.total if placement.greedy else None,
        "lower_bound": None if chosen else solution.lower_bound,
        "proven_optimal": solution.proven and not chosen,
        "gap": None if chosen else solution.gap,
        "units": len(placement.question.units),
    }


def _objective(result: CompileResult, placement: Placement) -> dict[str, Any]:
    """What the plan was chosen for, its value in seconds, joules or bytes as it was placed, and the bound that no plan goes below."""
    solution, name = placement.solution, result.work.objective
    known = solution.price.total if name == LATENCY else solution.price.cost
    return {"name": name, "value": known, "lower_bound": solution.lower_bound, "proven_optimal": solution.proven, "gap": solution.gap}


def _devices(result: CompileResult) -> list[dict[str, Any]]:
    placement = result.work.placement
    assert placement is not None
    counts = Counter(i.device for i in implementations(placement))
    rows = []
    for device in result.work.target.devices:
        segments = [s for s in result.manifest.segments if s.device == device.name]
        mine = [segment for segment in result.work.segments if segment.device == device.name]
        rows.append(
            {
                "name": device.name,
                "kind": device.kind,
                "runtime": device.runtime.adapter,
                "operators": counts[device.name],
                "kernels": sum(len(s.kernels) for s in segments),
                "weight_bytes": weight_bytes(mine),
                "segments": len(segments),
                "seconds": sum(s.predicted_seconds for s in segments),
            }
        )
    return rows


def _memory(result: CompileResult) -> dict[str, Any]:
    """The peak, and the terms of each memory; memories that are only read from are no part of the peak."""
    found = result.predicted
    rows = [
        {"name": memory.name, **asdict(held), "bytes": held.total, "budget": memory.budget, "in_peak": memory.name not in found.stores}
        for memory in result.work.target.memories
        if (held := found.held.get(memory.name)) is not None
    ]
    copies = list(schedule_of(result.manifest.segments))
    return {
        "peak": found.memory,
        "load_peak": found.load_peak,
        "memories": rows,
        "transfers": transfers_of(result.manifest),
        "schedule": copies,
    }


def _energy(found: Predictions) -> dict[str, Any]:
    """Joules of one run, None where a device in use states no power; watts on average and at most."""
    draws = [asdict(draw) for draw in found.draws]
    return {"joules": found.joules, "average": found.watts, "peak": found.peak_watts if found.watts is not None else None, "devices": draws}


def _handoffs(result: CompileResult) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str, str], list[int | float]] = {}
    for h in result.manifest.handoffs:
        row = groups.setdefault((h.producer, h.consumer, h.mode, h.mechanism), [0, 0, 0.0])
        row[0] += 1
        row[1] += h.bytes
        row[2] += h.seconds
    return [
        {"from": a, "to": b, "mode": mode, "via": via, "tensors": n, "bytes": size, "seconds": seconds}
        for (a, b, mode, via), (n, size, seconds) in groups.items()
    ]


def _rewrites(result: CompileResult) -> list[dict[str, Any]]:
    """Rules taken, with how often, their contract and bound: general ones first, then those for a device. `claimed` is where the target's
    own file states the bound; "" for a built-in rule, whose bound is proved."""
    claims = {spec.name: str(spec.origin) for spec in result.work.target.rules}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for decision in result.work.decisions:
        if decision.taken:
            own = decision in result.work.own_passes
            row = rows.setdefault((decision.rule, ""), {"rule": decision.rule, "device": None, "own": own, "sites": 0})
            row |= {"sites": row["sites"] + 1, "contract": decision.contract, "bound": decision.bound}
    for site in result.work.sites:
        chosen = site.implementation
        row = rows.setdefault((chosen.rule, chosen.device), {"rule": chosen.rule, "device": chosen.device, "own": False, "sites": 0})
        row |= {"sites": row["sites"] + 1, "contract": site.contract, "bound": chosen.bound, "claimed": claims.get(chosen.rule, "")}
    return list(rows.values())
