"""The way through the house: load -> recover -> place -> realise -> cut -> plan -> emit -> verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...passes.rule.rewrite import Decision
from ...targets.model import Target
from ..bundle.manifest import TargetRecord
from ..emit.ahead_of_time import DeviceRefused, emitted_only
from ..emit.emit import ManifestFacts, check_output, emit
from ..emit.facts import decisions, errors, guesses
from ..errors import UsageError
from ..hw.buckets import bucket_flags
from ..hw.load_target import load_target
from ..hw.try_rules import try_rules
from ..load.bind_shapes import Shapes, shape_flags
from ..load.given_inputs import check_inputs
from ..load.load_model import LoadedModel, load_model
from ..pipeline.rule_library import library_of
from ..pipeline.rules import check_rules
from ..pipeline.run_passes import PassOptions, Watcher, check_pass
from ..plan.plan_model import PlannedModel, plan_model
from ..run.bundle import Bundle
from ..watch.verify_each import PassVerifier
from .error_budget import within_budget
from .measure import measurement
from .result import CompileResult
from .route_around import Routes, WrongOnDevice, blame, routed
from .write_after import Stopped, check_model_place, write_after

Progress = Callable[[str], None]


def compile_model(
    model: str | Path,
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
    """Compiles an ONNX file into a bundle folder for a target.

    shapes: sizes of dynamic dims, by dim name or (whole tuples) by input name. output: the bundle's folder, default
    `<model>.<target>/` beside the model. verify: run the bundle against the model before it takes its place; segments whose
    runtime is not here run on the CPU only if `emulate`, else verification is skipped with its reason in the result.
    effort: how long the placement solver looks for a proof, as a multiple of its default limit.
    inputs: arrays by input name, compared besides generated ones wherever model and bundle are compared.
    disable: names of rules not to use (`autoglmc rules`). verify_each: compare after every pass, and find the rule and site at
    fault; a site at fault is saved beside the bundle, as `<output>.repro/`. watchers: see the work after every pass.

    Approximations are taken as loose as their `tol` allows and tightened while the measured error breaks a limit of the target.

    Raises UserError (ModelError, TargetError, Infeasible, BundleError, VerifyError, PassError …) or grammar.HwError; then no bundle
    is written.
    """
    job = _Job(Path(model), target, shapes, progress, inputs)
    out = Path(output) if output is not None else default_output(job.model, job.target)
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
    model: str | Path,
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
    job = _Job(Path(model), target, shapes, progress, inputs)
    out = Path(output) if output is not None else job.model.with_name(f"{job.model.stem}.{name}.onnx")
    check_model_place(out, job.model)
    verifier = (PassVerifier(job.model, repro_folder(out), inputs),) if verify_each else ()
    options = PassOptions(without=check_rules(disable, job.target), watchers=(*watchers, *verifier))
    operators = write_after(name, job.load, job.target, out, effort, job.clock.stage, options)
    return Stopped(path=out, after=name, operators=operators, seconds=job.clock.seconds)


def compile(
    model: str | Path,
    target: str | Path | Target,
    *,
    shapes: Shapes | None = None,
    output: str | Path | None = None,
    verify: bool = True,
    emulate: bool = False,
    **options: Any,
) -> Bundle:
    """`compile_model`, and the bundle it wrote, loaded: `autoglmc.compile("model.onnx", "a16", shapes={"batch": 1}).run(inputs)`.
    `options` are further arguments of `compile_model`."""
    result = compile_model(model, target, shapes=shapes, output=output, verify=verify, emulate=emulate, **options)
    return Bundle.load(result.folder)


def default_output(model: Path, target: Target) -> Path:
    """`dir/model.onnx` for a16 -> `dir/model.a16`."""
    return model.with_name(f"{model.stem}.{target.name}")


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


def _require_bound(loaded: LoadedModel, target: Target) -> None:
    if not loaded.unbound:
        return
    static = [device.name for device in target.devices if device.static_shapes]
    needs = f"{', '.join(static)} {'needs' if len(static) == 1 else 'need'} static shapes"
    why = needs if static else "an arena cannot be planned for them"
    dims = ", ".join(loaded.unbound)
    buckets = f"; or what '{target.name}' names: {flags}" if (flags := bucket_flags(target)) else ""
    help = f"bind them: {shape_flags(loaded.proto)}{buckets}"
    raise UsageError(f"dynamic dims without a size: {dims}; {why}", where=str(loaded.path), help=help)


class _Job:
    """What is to be compiled for what, and the clock."""

    def __init__(
        self,
        model: Path,
        target: str | Path | Target,
        shapes: Shapes | None,
        progress: Progress | None,
        inputs: Mapping[str, Any] | None,
    ) -> None:
        self.model, self._shapes, self._inputs = model, shapes, inputs
        self.clock = _Clock(progress or (lambda message: None))
        with self.clock.stage("read-target"):
            self.target = target if isinstance(target, Target) else load_target(target)
            self.notes = try_rules(self.target)

    def load(self) -> LoadedModel:
        """A fresh copy of the model, with every dim bound."""
        with self.clock.stage("load"):
            loaded = load_model(self.model, self._shapes)
            _require_bound(loaded, self.target)
            if self._inputs is not None:
                check_inputs(loaded.proto, self._inputs)
        return loaded


class _Clock:
    """Tells progress and remembers how long each stage took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    def stage(self, name: str) -> _Stage:
        self._progress(name)
        return _Stage(self, name)


class _Stage:
    def __init__(self, clock: _Clock, name: str) -> None:
        self._clock, self._name, self._start = clock, name, time.perf_counter()

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self._clock.seconds[self._name] = self._clock.seconds.get(self._name, 0.0) + time.perf_counter() - self._start
