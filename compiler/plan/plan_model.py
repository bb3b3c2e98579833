"""From a model to the fastest plan, or to a given one, held against the limits of the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...passes.graph.graph import Graph
from ...passes.place.known_plans import other_placements
from ...passes.place.placed import Placement
from ...passes.place.uncosted import Uncosted, uncosted
from ...passes.rule.rewrite import Rewrite
from ...targets.model import Target
from ..bundle.confidence_record import ConfidenceRecord
from ..bundle.manifest import LimitRecord
from ..errors import Infeasible, TargetError, UserError
from ..load.load_model import LoadedModel
from ..pipeline.rules import families_of, library_of
from ..pipeline.run_passes import PLAIN, PassOptions, Stage, run_passes
from ..pipeline.work import Work
from .arena import ArenaPlan
from .compilers.rounds import ASKED, settle
from .compilers.times import reporting_devices
from .confidence import with_doubts
from .emitted_plan import emitted_plan
from .forced import contradiction, forced_by_limits
from .limits import OF_TIME, broken, limit_records, loading_notes
from .predict import Predictions, predict
from .resident_limit import unmapped
from .segment_times import SegmentTime
from .segments import Compiled
from .uncosted import cost_lines, emitted_parts, unproven_without

PACKAGE = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    loaded: LoadedModel
    work: Work
    compiled: Compiled
    arena: ArenaPlan
    limits: tuple[LimitRecord, ...]
    predicted: Predictions
    confidence: ConfidenceRecord | None = None
    """Of the predicted latency; None where no device in use is calibrated."""
    uncosted: tuple[Uncosted, ...] = ()
    """Operators that have no cost: the predicted latency is a lower bound while there are any."""
    times: tuple[SegmentTime, ...] = ()
    """Of every segment, kernel by kernel."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unplanned:
    """No plan, or one that breaks a limit."""

    problem: Infeasible | TargetError
    others: tuple[Placement, ...] = ()
    """Slower plans that may keep the limit, fastest first; empty where none can, or where this was already one of them."""
    breaking: PlannedModel | None = None
    """The plan that breaks a limit."""


def plan_model(
    loaded: LoadedModel,
    target: Target,
    effort: float,
    stage: Stage,
    options: PassOptions = PLAIN,
    plan: Placement | None = None,
    faster: str = "",
    diagnose: bool = True,
) -> PlannedModel | Unplanned:
    """The fastest plan, or `plan`, carried out in the model's graph. `faster`: why faster plans were refused, for the notes. `diagnose`:
    whether to find out by how much limits are broken that no plan keeps, which takes many times as long as to see that they are."""
    with stage("graph"):
        work = start(loaded, target, effort, plan, options.without)
        work.objective, work.any_fitting = options.objective, options.any_fitting
        work.diagnose = diagnose
    planned = plan_work(loaded, work, stage, options)
    if isinstance(planned, Unplanned) or not faster:
        return planned
    return replace(planned, notes=(*planned.notes, f"faster plans were refused: {faster}"))


def plan_work(loaded: LoadedModel, work: Work, stage: Stage, options: PassOptions = PLAIN, after: str = "") -> PlannedModel | Unplanned:
    """The same for a work that was started, and on which the passes up to `after` were run already."""
    problem: Infeasible | TargetError | None
    breaking: PlannedModel | None = None
    try:
        planned = _carry_out(loaded, work, stage, options, after)
        problem = broken(planned.limits) or unmapped(planned.compiled, work.target)
        if problem is None:
            assert work.placement is not None
            return replace(
                planned, notes=(*planned.notes, *forced_by_limits(work.placement), *loading_notes(work.target, planned.predicted))
            )
        breaking = planned
    except (Infeasible, TargetError) as refused:
        problem = refused
    told = contradiction(work.placement)
    if told and isinstance(problem, Infeasible):
        problem = Infeasible(problem.resource, problem.demand, problem.limit, (), message=f"{problem.message}; {told}", where=problem.where)
    return Unplanned(problem, other_plans(work, problem) if work.plan is None else (), breaking)


def other_plans(work: Work, problem: UserError) -> tuple[Placement, ...]:
    """Slower plans than the fastest that may keep the limit which it breaks, fastest first; () where none can."""
    found = work.question is not None and work.placement is not None
    if not found or not isinstance(problem, Infeasible) or problem.resource.split()[0] in OF_TIME:
        return ()
    assert work.question is not None and work.placement is not None
    clash = work.placement.conflict
    if clash is not None and not any(name.startswith(PACKAGE) for name in clash.limits):
        return ()  # only of a bundle's size the placement knows less than its other plans may show
    return other_placements(work.question, work.placement, work.effort)


def start(
    loaded: LoadedModel, target: Target, effort: float = 1.0, plan: Placement | None = None, without: frozenset[str] = frozenset()
) -> Work:
    """A compilation before its first pass. `without`: names of rules not to use."""
    rules, families = rules_for(target, without)
    formulas = tuple(rule for rule in library_of(target).formulas if rule.name not in without)
    operators = Counter(node.op_type for node in loaded.proto.graph.node)
    work = Work(Graph(loaded.proto), target, rules, families, effort, source_operators=operators, plan=plan, without=without)
    work.formulas, work.kept = formulas, loaded.kept
    return work


def rules_for(target: Target, without: frozenset[str]) -> tuple[tuple[Rewrite, ...], Mapping[str, tuple[Rewrite, ...]]]:
    """The rules that may serve a single operator, and those that the target's `rewrite` lines may choose from, by name."""
    library = library_of(target)
    return tuple(rule for rule in library.substitutes if rule.name not in without), families_of(target, library, without)


def _carry_out(loaded: LoadedModel, work: Work, stage: Stage, options: PassOptions, after: str) -> PlannedModel:
    """Whether the plan keeps the limits is in its records."""
    run_passes(work, stage, options.watchers, ASKED, options.inserted, after)
    note = _settled(work, stage)
    run_passes(work, stage, options.watchers, inserted=options.inserted, after=ASKED)
    with stage("plan"):
        plan = emitted_plan(work)
        found = predict(plan.compiled, work.target, latency=plan.latency, arena=plan.arena.arena.mapped)
        confidence = plan.confidence
        parts = emitted_parts(plan.compiled.segments)
        missing = uncosted(work.graph, parts)
        limits = unproven_without(with_doubts(limit_records(work.target, found), confidence), missing)
    return PlannedModel(
        loaded=loaded,
        work=work,
        compiled=plan.compiled,
        arena=plan.arena,
        limits=limits,
        predicted=found,
        confidence=confidence,
        uncosted=missing,
        times=plan.times,
        notes=(*note, *cost_lines(parts, missing)),
    )


def _settled(work: Work, stage: Stage) -> tuple[str, ...]:
    """Chooses the placement by the estimates of runtimes' compilers, where those make any; what is to be told of it."""
    if not reporting_devices(work.target) or work.plan is not None:
        return ()
    assert work.question is not None
    with stage("ask-compilers"):
        found = settle(work, work.question)
    if found is None:
        return ()
    work.question, work.settled = found.placement.question, found.placement
    return (found.note,)
