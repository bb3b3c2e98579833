"""The way through the house: load -> recover -> place -> realise -> cut -> plan -> emit -> verify; see search.py for who goes it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ...passes.place.objectives import LATENCY
from ...passes.place.placed import Placement
from ...targets.model import Target
from ..bundle.blobs.crash import CompilerCrashed
from ..bundle.signature import signing_key
from ..emit.emit import check_output
from ..errors import Infeasible
from ..inputs.samples import Given, first_of
from ..kept_places import NOTHING_KEPT, KeptPlaces
from ..load.bind_shapes import Shapes
from ..load.source import Model, beside, source_of
from ..pipeline.rules import check_rules, library_of
from ..pipeline.run_passes import PassOptions, Watcher, check_pass
from ..plan.check_objective import check_objective
from ..precision.accuracy_check import accuracy_check
from ..precision.asked_accuracy import NOTHING, AskedAccuracy
from ..precision.request import PrecisionRequest, check_measurable
from ..prune.request import PruneRequest
from ..reference.recall import Recalling
from ..reference.store import default_store
from ..surgery.apply_pass import pass_rows
from ..surgery.user_pass import UserPass
from ..verify.expected import check_asked
from ..verify.required import requirement_of
from ..watch.verify_each import PassVerifier
from .advise import Advisor, processor_seconds
from .attempt import Attempt
from .constraints import Constraints
from .crash import crash_saved, explained
from .entries.compile_memory import weights_in_file
from .job import Job, Progress
from .resident_weights import check_resident_with, resident_budget, with_resident
from .result import CompileResult
from .search import Log
from .search import search as search_for
from .search_budget import Meter, SearchBudget
from .smaller.accuracy_rounds import chosen_within, exhausted
from .smaller.chosen_precision import ChosenPrecision, check_with
from .smaller.pruned import Pruned, check_pruned_with, pruned_within
from .state import State
from .verdict import AccuracyMissed
from .write_after import Stopped, check_model_place, write_after


@weights_in_file()
def compile_model(
    model: Model,
    target: str | PathLike[str] | Target,
    *,
    shapes: Shapes | None = None,
    output: str | PathLike[str] | None = None,
    verify: bool = True,
    emulate: bool = False,
    effort: float = 1.0,
    progress: Progress | None = None,
    inputs: Given | None = None,
    disable: Iterable[str] = (),
    verify_each: bool = False,
    watchers: tuple[Watcher, ...] = (),
    passes: Sequence[UserPass | Callable[[Any], Any]] = (),
    search: SearchBudget | None = None,
    require_verified: str | None = None,
    expect: Mapping[str, Any] | None = None,
    sign: str | PathLike[str] | None = None,
    objective: str = LATENCY,
    plan: Placement | None = None,
    precision: PrecisionRequest | None = None,
    prune: PruneRequest | None = None,
    accuracy: AskedAccuracy = NOTHING,
    compress: bool = False,
    no_fallback: bool = False,
    resident: int | None = None,
    whole: bool = True,
    kept: KeptPlaces = NOTHING_KEPT,
) -> CompileResult:
    """Compiles an ONNX model into a bundle folder for a target.

    model: a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph; it is not changed.
    shapes: sizes of dynamic dims, by dim name or (whole tuples) by input name. output: the bundle's folder, default
    `<model>.<target>/` beside the model's file. verify: run the bundle against the model before it takes its place. Segments whose
    runtime is not here are judged on the CPU; unless `emulate` says that this is enough, the bundle is kept, but is not verified
    (`CompileResult.verified`). require_verified: refuse what is not: "all", a segment that was not judged on its own runtime too;
    "here", leaving out runtimes that are not here.
    effort: how long the placement solver looks for a proof, and an arena for offsets that fit, as a multiple of the default limits.
    inputs: arrays by input name, or several such sets with a label each, compared before generated ones wherever model and bundle are
    compared. expect: arrays by output name, what the model's source framework computes for the first of `inputs`; a bundle that
    computes something else is refused.
    disable: names of rules not to use (`autoglmc rules`). verify_each: compare after every pass, and find the rule and site at
    fault; a site at fault is saved beside the bundle, as `<output>.repro/`, and so is a segment on which a runtime's compiler
    crashes. watchers: see the work after every pass.
    progress: called with a line per stage.
    passes: functions of yours on an onnx_graphsurgeon.Graph, each with a contract (surgery/user_pass.py); they run after the model is
    simplified, or where a UserPass says.

    objective: what the plan is chosen for within the limits: "latency", one request with devices one after another; "overlap", one request
    with independent branches at once; "throughput", the time between pipelined requests; "energy" or "memory".
    plan: a placement of the same model for the same target to take, as `pareto_front` gives them.
    precision: write the model in integers or fp16 first; the quantised model is compiled and verified, and the bundle's accuracy against
    the float model measured.
    prune: remove channels and heads of the model first, by magnitude; what is left is compiled and verified, in the precision asked for.
    accuracy: limits on that, beside or instead of the target's; forms are chosen until the bundle's own run keeps them.
    sign: the file of a private key (ed25519, PEM) that the bundle is signed with.
    compress: keep the weights deflated; whoever loads the bundle unpacks them first.
    no_fallback: leave out weights that only a CPU in place of a segment compiled ahead of time would read.
    resident: bytes of weights that sessions of the bundle may hold in copies of their own, by default what the target says; the others stay
    in the mapped file. whole: False where the bundle becomes an entry of another one, which is packed as a whole.
    kept: what lies at the start of the arena from run to run (`compile_entries`, `compile_models`).
    search: how many attempts and probes, and how much time, may be spent where a plan is refused, wrong or over a limit.

    Approximations are taken as loose as their `tol` allows and tightened while the measured error breaks a limit of the target.

    Raises UserError (ModelError, TargetError, Infeasible, BundleError, CompilerCrashed, VerifyError, SearchEnded, PassError …) or
    grammar.HwError; then no bundle is written.
    """
    begun, signing = processor_seconds(), None if sign is None else signing_key(sign)
    job = Job(source_of(model), target, shapes, progress, inputs)
    check_resident_with(job.target, resident, compress=compress, no_fallback=no_fallback)
    budget = resident_budget(job.target, resident)
    job.target, job.kept = with_resident(accuracy.within(job.target), budget), kept
    out = Path(output) if output is not None else beside(job.model, job.target.name)
    check_output(out)
    check_objective(objective, job.target)
    check_asked(expect, inputs, verify)
    check_with(precision, expect, passes)
    check_pruned_with(prune, expect, passes)
    samples = any(request is not None and request.data is not None for request in (precision, prune))
    check_measurable(accuracy, precision, verify, prune is not None, samples)
    disabled, required = check_rules(disable, job.target), requirement_of(require_verified, verify)
    tell, meter = progress or (lambda message: None), Meter(search or SearchBudget())
    rules = library_of(job.target).every
    chooses = precision is not None and precision.precision != "fp32"
    check = accuracy_check(accuracy, job.model) if accuracy or chooses or prune is not None else None

    def compiled(job: Job, pruned: Pruned | None, chosen: ChosenPrecision | None, change: str, log: Log) -> CompileResult:
        made, given = (job, inputs) if chosen is None else (job.of(chosen.model), chosen.real_inputs(inputs))
        first = State(constraints=Constraints(disabled=disabled, plan=plan), change=change)
        with Recalling(made.model, default_store()) as oracle:
            attempt = Attempt(
                job=made,
                out=out,
                effort=effort,
                verify=verify,
                required=required,
                emulate=emulate,
                oracle=oracle,
                inputs=given,
                expect=expect,
                watchers=watchers,
                own=pass_rows(passes, first_of(inputs)),
                verifier=PassVerifier(made.model, repro_folder(out), first_of(given)) if verify_each else None,
                meter=meter,
                tell=tell,
                signing=signing,
                objective=objective,
                precision=chosen,
                pruned=pruned,
                accuracy=check,
                compress=compress,
                no_fallback=no_fallback,
                resident=budget if whole else None,
                alone=whole,
                hints=precision is None and prune is None,
            )
            try:
                return search_for(attempt, first, rules, meter, tell, log)
            except CompilerCrashed as crash:
                raise explained(crash, meter, tell) from None
            except Infeasible as problem:
                raise Advisor(attempt, first, rules, begun).advised(problem) from problem

    def of_model(job: Job, pruned: Pruned | None, change: str, log: Log) -> CompileResult:
        if precision is not None and chooses:
            rounds = partial(compiled, job, pruned)
            return chosen_within(job, replace(precision, objective=objective), disabled, bool(accuracy.scripts), rounds)
        return compiled(job, pruned, None, change, log)

    with crash_saved(repro_folder(out)) if whole else nullcontext():
        if prune is not None:
            return pruned_within(job, prune, disabled, effort, lambda pruned, *words: of_model(job.of(pruned.model), pruned, *words))
        try:
            return of_model(job, None, "", ())
        except AccuracyMissed as missed:
            raise exhausted(missed, "fp32") from missed


def stop_after(
    name: str,
    model: Model,
    target: str | PathLike[str] | Target,
    *,
    output: str | PathLike[str] | None = None,
    shapes: Shapes | None = None,
    effort: float = 1.0,
    progress: Progress | None = None,
    inputs: Given | None = None,
    disable: Iterable[str] = (),
    verify_each: bool = False,
    watchers: tuple[Watcher, ...] = (),
    passes: Sequence[UserPass | Callable[[Any], Any]] = (),
) -> Stopped:
    """Runs the passes up to the one of that name and writes the whole graph to an ONNX file, default `<model>.<pass>.onnx` beside
    the model; no bundle is written. The other arguments, and what is raised, are those of `compile_model`."""
    check_pass(name)
    job = Job(source_of(model), target, shapes, progress, inputs)
    out = Path(output) if output is not None else beside(job.model, f"{name}.onnx")
    check_model_place(out, job.model)
    verifier = (PassVerifier(job.model, repro_folder(out), first_of(inputs)),) if verify_each else ()
    without, own = check_rules(disable, job.target), pass_rows(passes, first_of(inputs))
    options = PassOptions(without=without, inserted=own, watchers=(*watchers, *verifier))
    operators = write_after(name, job.load, job.target, out, effort, job.clock.stage, options)
    return Stopped(path=out, after=name, operators=operators, seconds=job.clock.seconds)


def repro_folder(output: Path) -> Path:
    """Where a site is saved that --verify-each found at fault."""
    return output.with_name(f"{output.name}.repro")
