"""The way through the house: load -> recover -> place -> realise -> cut -> plan -> emit -> verify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...passes.rule.rewrite import Decision
from ...targets.model import Target
from ..bundle.manifest import TargetRecord
from ..emit.ahead_of_time import DeviceRefused, emitted_only
from ..emit.emit import ManifestFacts, check_output, emit
from ..emit.facts import decisions, errors, guesses
from ..load.bind_shapes import Shapes
from ..load.source import Model, beside, source_of
from ..pipeline.rule_library import library_of
from ..pipeline.rules import check_rules
from ..pipeline.run_passes import PassOptions, Watcher, check_pass
from ..plan.plan_model import PlannedModel, plan_model
from ..watch.verify_each import PassVerifier
from .error_budget import within_budget
from .job import Progress, _Job
from .measure import measurement
from .result import CompileResult
from .route_around import Routes, WrongOnDevice, blame, routed
from .write_after import Stopped, check_model_place, write_after


def compile_model(
    model: Model,
    target: str | Path | Target,
    *,
    shapes: Shapes | None = None,
    output: str | Path | None = None,
    verify: bool = True,
    emulate: bool = False,
    effort: float = 1.0,
    progress: Progress | None = None,
    inputs: Mapping[str, Any] | None = None,
    disable: Iterable[str] = (),
    verify_each: bool = False,
    watchers: tuple[Watcher, ...] = (),
) -> CompileResult:
    """Compiles an ONNX model (a path, or an onnx.ModelProto, which is not changed) into a bundle folder for a target.

    shapes: sizes of dynamic dims, by dim name or (whole tuples) by input name. output: the bundle's folder, default
    `<model>.<target>/` beside the model's file. verify: run the bundle against the model before it takes its place; segments whose
    runtime is not here run on the CPU only if `emulate`, else verification is skipped with its reason in the result.
    effort: how long the placement solver looks for a proof, as a multiple of its default limit.
    inputs: arrays by input name, compared besides generated ones wherever model and bundle are compared.
    disable: names of rules not to use (`autoglmc rules`). verify_each: compare after every pass, and find the rule and site at
    fault; a site at fault is saved beside the bundle, as `<output>.repro/`. watchers: see the work after every pass.
    progress: called with a line per stage.

    Approximations are taken as loose as their `tol` allows and tightened while the measured error breaks a limit of the target.

    Raises UserError (ModelError, TargetError, Infeasible, BundleError, VerifyError, PassError …) or grammar.HwError; then no bundle
    is written.
    """
    job = _Job(source_of(model), target, shapes, progress, inputs)
    out = Path(output) if output is not None else beside(job.model, job.target.name)
    check_output(out)
    verifier = PassVerifier(job.model, repro_folder(out), inputs) if verify_each else None

    tell = progress or (lambda message: None)

    def attempt(machine: Target, routes: Routes, without: frozenset[str], steps: tuple[Decision, ...]) -> CompileResult:
        options = PassOptions(without=without, watchers=(*watchers, *((verifier,) if verifier else ())))
        planned = plan_model(job.load, machine, effort, job.clock.stage, options)
        planned.work.decisions.extend((*routes.decisions, *steps))
        with job.clock.stage("describe"):
            facts = describe(planned)
        measure = measurement(planned.loaded, planned.compiled, facts, emulate=emulate, inputs=inputs) if verify else "it was not asked for"
        ready = None if isinstance(measure, str) else measure
        try:
            with job.clock.stage("emit and verify" if ready else "emit"):
                manifest = emit(planned.compiled, facts, planned.arena, out, ready, tell)
        except (DeviceRefused, WrongOnDevice) as problem:
            with job.clock.stage("find culprits"):
                blame(problem, planned, inputs, tell)
        return CompileResult(
            folder=out,
            manifest=manifest,
            work=planned.work,
            notes=(
                *routes.notes(planned.compiled.segments),
                *job.notes,
                *planned.loaded.notes,
                *planned.notes,
                *(step.reason for step in steps),
                *emitted_only(manifest),
            ),
            seconds=job.clock.seconds,
            verification=measure if isinstance(measure, str) else measure.report,
            checked=tuple(verifier.checked) if verifier else (),
        )

    allowed = check_rules(disable, job.target)

    def budgeted(machine: Target, routes: Routes) -> CompileResult:
        every = library_of(job.target).every
        return within_budget(lambda without, steps: attempt(machine, routes, without, steps), allowed | routes.without, every)

    return routed(budgeted, job.target, tell)


def stop_after(
    name: str,
    model: Model,
    target: str | Path | Target,
    *,
    output: str | Path | None = None,
    shapes: Shapes | None = None,
    effort: float = 1.0,
    progress: Progress | None = None,
    inputs: Mapping[str, Any] | None = None,
    disable: Iterable[str] = (),
    verify_each: bool = False,
    watchers: tuple[Watcher, ...] = (),
) -> Stopped:
    """Runs the passes up to the one of that name and writes the whole graph to an ONNX file, default `<model>.<pass>.onnx` beside
    the model; no bundle is written. The other arguments, and what is raised, are those of `compile_model`."""
    check_pass(name)
    job = _Job(source_of(model), target, shapes, progress, inputs)
    out = Path(output) if output is not None else beside(job.model, f"{name}.onnx")
    check_model_place(out, job.model)
    verifier = (PassVerifier(job.model, repro_folder(out), inputs),) if verify_each else ()
    options = PassOptions(without=check_rules(disable, job.target), watchers=(*watchers, *verifier))
    operators = write_after(name, job.load, job.target, out, effort, job.clock.stage, options)
    return Stopped(path=out, after=name, operators=operators, seconds=job.clock.seconds)


def repro_folder(output: Path) -> Path:
    """Where a site is saved that --verify-each found at fault."""
    return output.with_name(f"{output.name}.repro")


def describe(planned: PlannedModel) -> ManifestFacts:
    """What the manifest says beside segments and arena."""
    from importlib.metadata import version

    loaded, work, target = planned.loaded, planned.work, planned.work.target
    assert work.placement is not None
    return ManifestFacts(
        model_sha256=loaded.sha256,
        model_opset=loaded.source_opset,
        target=TargetRecord(name=target.name, sha256=target.digest, language=target.language),
        tool_version=version("autoglmc"),
        limits=planned.limits,
        guesses=guesses(work.placement),
        errors=errors(work),
        decisions=decisions(work),
    )
