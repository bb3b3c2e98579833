"""The way through the house: load -> recover -> place -> realise -> cut -> plan -> emit -> verify."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from ..passes.graph import Graph
from ..targets.model import Target
from .arena import ArenaPlan, plan_arena
from .bind_shapes import Shapes
from .bundle import TargetRecord
from .compiled import CompileResult
from .emit import ManifestFacts, check_output, emit
from .errors import UsageError
from .handoffs import assemble
from .limits import check_limits, predict
from .load import LoadedModel, load_model
from .manifest_facts import decisions, errors, guesses
from .measure import measurement
from .pipeline import PIPELINE
from .run import Bundle
from .segments import Compiled
from .target_files import load_target
from .work import Work

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
    machine = target if isinstance(target, Target) else load_target(target)
    out = Path(output) if output is not None else default_output(Path(model), machine)
    check_output(out)
    with clock.stage("load"):
        loaded = load_model(Path(model), shapes)
        _require_bound(loaded, machine)
    work = start(loaded, machine, effort)
    for row in PIPELINE:
        with clock.stage(row.name):
            row.run(work)
    with clock.stage("plan"):
        compiled = assemble(work.graph, machine, work.cuts)
        arena = plan_arena(compiled)
        facts = describe(loaded, work, compiled, arena)
    measure = measurement(loaded, compiled, facts, emulate=emulate) if verify else "it was not asked for"
    ready = None if isinstance(measure, str) else measure
    with clock.stage("emit and verify" if ready else "emit"):
        manifest = emit(compiled, facts, arena, out, ready)
    return CompileResult(
        folder=out,
        manifest=manifest,
        work=work,
        notes=loaded.notes,
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


def start(loaded: LoadedModel, target: Target, effort: float = 1.0) -> Work:
    """A compilation before its first pass."""
    from ..passes.library import SUBSTITUTE, family

    names = {line.rule for device in target.devices for line in device.rewrites} - {"native"}
    families = {name: family(name) for name in sorted(names)}
    return Work(Graph(loaded.proto), target, SUBSTITUTE, families, effort, source_operators=_count(loaded))


def describe(loaded: LoadedModel, work: Work, compiled: Compiled, arena: ArenaPlan) -> ManifestFacts:
    """What the manifest says beside segments and arena; raises Infeasible where a predicted limit does not hold."""
    from importlib.metadata import version

    assert work.placement is not None
    found = predict(compiled, work.target, latency=work.placement.solution.price.total, arena=arena.mapped)
    target = work.target
    return ManifestFacts(
        model_sha256=loaded.sha256,
        model_opset=loaded.source_opset,
        target=TargetRecord(name=target.name, sha256=target.digest, language=target.language),
        tool_version=version("autoglmc"),
        limits=check_limits(target, found),
        guesses=guesses(work.placement),
        errors=errors(work),
        decisions=decisions(work),
    )


def _require_bound(loaded: LoadedModel, target: Target) -> None:
    if not loaded.unbound:
        return
    static = [device.name for device in target.devices if device.static_shapes]
    why = f"{', '.join(static)} takes static shapes only" if static else "an arena cannot be planned for them"
    flags = " ".join(f"--shape {dim}=N" for dim in loaded.unbound if " " not in dim) or "--shape INPUT=1x3x224x224"
    dims = ", ".join(loaded.unbound)
    raise UsageError(f"dynamic dims without a size: {dims}; {why}", where=str(loaded.path), help=f"bind them: {flags}")


def _count(loaded: LoadedModel) -> Mapping[str, int]:
    return Counter(node.op_type for node in loaded.proto.graph.node)


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
        self._clock.seconds[self._name] = time.perf_counter() - self._start
