"""The way through the house: load -> recover -> place -> realise -> cut -> plan -> emit -> verify."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..targets.model import Target
from .bind_shapes import Shapes, shape_flags
from .bundle import TargetRecord
from .compiled import CompileResult
from .emit import ManifestFacts, check_output, emit
from .errors import UsageError
from .load import LoadedModel, load_model
from .manifest_facts import decisions, errors, guesses
from .measure import measurement
from .plan_model import PlannedModel, plan_model
from .run import Bundle
from .target_files import load_target

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
) -> CompileResult:
    """Compiles an ONNX file into a bundle folder for a target.

    shapes: sizes of dynamic dims, by dim name or (whole tuples) by input name. output: the bundle's folder, default
    `<model>.<target>/` beside the model. verify: run the bundle against the model before it takes its place; segments whose
    runtime is not here run on the CPU only if `emulate`, else verification is skipped with its reason in the result.
    effort: how long the placement solver looks for a proof, as a multiple of its default limit.

    Raises UserError (ModelError, TargetError, Infeasible, BundleError, VerifyError …) or grammar.HwError; then nothing is written.
    """
    clock = _Clock(progress or (lambda message: None))
    with clock.stage("read-target"):
        machine = target if isinstance(target, Target) else load_target(target)
    out = Path(output) if output is not None else default_output(Path(model), machine)
    check_output(out)

    def load() -> LoadedModel:
        with clock.stage("load"):
            loaded = load_model(Path(model), shapes)
            _require_bound(loaded, machine)
        return loaded

    planned = plan_model(load, machine, effort, clock.stage)
    with clock.stage("describe"):
        facts = describe(planned)
    measure = measurement(planned.loaded, planned.compiled, facts, emulate=emulate) if verify else "it was not asked for"
    ready = None if isinstance(measure, str) else measure
    with clock.stage("emit and verify" if ready else "emit"):
        manifest = emit(planned.compiled, facts, planned.arena, out, ready)
    return CompileResult(
        folder=out,
        manifest=manifest,
        work=planned.work,
        notes=(*planned.loaded.notes, *planned.notes),
        seconds=clock.seconds,
        verification=measure if isinstance(measure, str) else measure.report,
    )


def compile(
    model: str | Path,
    target: str | Path | Target,
    *,
    shapes: Shapes | None = None,
    output: str | Path | None = None,
    verify: bool = True,
    emulate: bool = False,
) -> Bundle:
    """`compile_model`, and the bundle it wrote, loaded: `autoglmc.compile("model.onnx", "a16", shapes={"batch": 1}).run(inputs)`."""
    result = compile_model(model, target, shapes=shapes, output=output, verify=verify, emulate=emulate)
    return Bundle.load(result.folder)


def default_output(model: Path, target: Target) -> Path:
    """`dir/model.onnx` for a16 -> `dir/model.a16`."""
    return model.with_name(f"{model.stem}.{target.name}")


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
    raise UsageError(f"dynamic dims without a size: {dims}; {why}", where=str(loaded.path), help=f"bind them: {shape_flags(loaded.proto)}")


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
