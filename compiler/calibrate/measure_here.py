"""Measure a device whose runtime is on this machine: single kernels, and given models compiled for its target."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...targets.model import Device, Target
from ..devices.find_adapter import absence
from ..driver.compile_model import compile_model
from ..driver.result import CompileResult
from ..errors import UsageError, UserError
from ..plan.memory_needs import needs_of
from .fit_memory import MeasuredMemory
from .grid.grid import grid
from .measure.litert_source import LiteRtSource
from .measure.measure import Budget, Case, Refused, measure_cases
from .measure.openvino_source import OpenVinoSource
from .measure.ort_source import OrtSource
from .measure.overhead import measure_overhead
from .measure.private_memory import private_memory
from .measure.source import Source
from .measure.time_left import TimeLeft
from .records import Measurement

SOURCES: Mapping[str, Callable[[], Source]] = {"ort": OrtSource, "openvino": OpenVinoSource, "litert": LiteRtSource}
EMULATED = ("ethos_u", "qnn")
"""Runtimes that are an emulator on this machine, or other kernels of the same operators."""
FAMILIES: Mapping[str, tuple[str, ...]] = {"arm": ("arm", "aarch", "cortex"), "x86": ("x86", "amd64", "i386", "i686")}
"""How words for a kind of processor begin: those of targets, and those of operating systems."""
KERNELS, MODELS = Budget(latency=0.012, profile=0.024), Budget()
COMPILING = 4.0
"""Seconds in which a model of some 10 MB is compiled and its memory is measured."""
Shapes = Mapping[str, int | tuple[int, ...]]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to measure; `network` keeps models of one network together when networks are held out."""

    network: str
    case: str
    path: Path
    shapes: Shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredHere:
    measurement: Measurement
    refused: tuple[Refused, ...]
    memory: tuple[MeasuredMemory, ...]


def source_of(device: Device) -> Source:
    """Raises UserError where the device cannot be measured here, with the reason."""
    adapter = device.runtime.adapter
    help = "measure on the device itself, and read its profile: `autoglmc calibrate --profile FILE --bundle BUNDLE`"
    if adapter in EMULATED:
        raise UserError(
            f"{device.name} cannot be measured here: what runs it on this machine is an emulator, and its times are not the device's",
            help=help,
        )
    family, own = _family(device.kind), _family(platform.machine())
    if family and own and family != own:
        raise UserError(
            f"{device.name} cannot be measured here: it is a processor of kind {device.kind}, and this machine is {platform.machine()}",
            help=help,
        )
    if adapter not in SOURCES:
        raise UserError(f"{device.name} cannot be measured here: nothing times the operators of runtime {adapter}", help=help)
    lack = absence(adapter, device.runtime.words)
    if lack is not None:
        raise UserError(f"{device.name} cannot be measured here: {lack.reason}", help=lack.help or help)
    return SOURCES[adapter]()


def _family(kind: str) -> str:
    """Of processors that run each other's programs; "" for a word that names none that is known."""
    return next((family for family, words in FAMILIES.items() if kind.lower().startswith(words)), "")


def measure_here(
    target: Target,
    device: Device,
    subjects: Sequence[Subject],
    environment: Mapping[str, str],
    tell: Tell,
    kernels: bool = True,
    models: Budget = MODELS,
) -> MeasuredHere:
    """Compiles every model for the target, measures its segments of the device, and the kernels of the grid; in interleaved passes.

    Raises UserError where the device cannot be measured here, or a model is not there."""
    source = source_of(device)
    for one in subjects:
        if not one.path.is_file():
            raise UsageError(f"{one.path} is not a file", help="give the models to measure, as .onnx files")
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        folder = Path(scratch)
        singled = grid_cases(folder) if kernels else ()
        left = _planned(len(singled), len(subjects), models)
        tell("what the profiler takes")
        overhead = measure_overhead(source)
        singles, _ = measure_cases(singled, target, device, source, overhead, KERNELS, tell, left, "kernels")
        cases, memory, failed = compile_subjects(target, device, subjects, folder, tell, left)
        left.plan("models", (len(cases) - len(subjects)) * _of_all_passes(models))
        segments, refused = measure_cases(cases, target, device, source, overhead, models, tell, left)
    found = Measurement(device=device.name, runtime=source.runtime, environment=environment, segments=(*singles, *segments))
    return MeasuredHere(measurement=found, refused=(*failed, *refused), memory=memory)


def _planned(kernels: int, subjects: int, models: Budget) -> TimeLeft:
    left = TimeLeft()
    for stage, seconds in (
        ("kernels", kernels * _of_all_passes(KERNELS)), ("compile", subjects * COMPILING), ("models", subjects * _of_all_passes(models))
    ):  # fmt: skip
        left.plan(stage, seconds)
    return left


def _of_all_passes(budget: Budget) -> float:
    return sum(budget.planned(number) for number in range(budget.passes))


def grid_cases(folder: Path) -> tuple[Case, ...]:
    """Writes the kernels of the grid into the folder."""
    import onnx

    cases = []
    for number, kernel in enumerate(grid()):
        path = folder / f"kernel_{number}.onnx"
        onnx.save_model(kernel.model, path)
        cases.append(Case(network=f"kernel {kernel.name}", case=kernel.name, path=path, single=True))
    return tuple(cases)


def compile_subjects(
    target: Target, device: Device, subjects: Sequence[Subject], folder: Path, tell: Tell, left: TimeLeft, with_memory: bool = True
) -> tuple[list[Case], tuple[MeasuredMemory, ...], list[Refused]]:
    """Bundles of the subjects in the folder: their segments of the device, what memory they take, and what cannot be compiled."""
    cases: list[Case] = []
    memory: list[MeasuredMemory] = []
    failed: list[Refused] = []
    left.begin()
    for number, one in enumerate(subjects):
        if number:
            left.done("compile", COMPILING)
        tell(f"compile {one.case} ({number + 1} of {len(subjects)}){left}")
        try:
            result = compile_model(one.path, target, shapes=one.shapes, output=folder / f"bundle_{number}", verify=False)
        except UserError as problem:
            failed.append(Refused(one.case, problem.message))
            continue
        mine = [segment for segment in result.manifest.segments if segment.device == device.name]
        for segment in mine:
            text = one.case if len(mine) == 1 else f"{one.case} segment {segment.index}"
            cases.append(Case(network=one.network, case=text, path=result.folder / segment.file))
        if with_memory and len(mine) == len(result.manifest.segments):
            memory += memory_of(one, result, target)
    if subjects:
        left.done("compile", COMPILING)
    return cases, tuple(memory), failed


def memory_of(subject: Subject, result: CompileResult, target: Target) -> Iterator[MeasuredMemory]:
    """Of a bundle whose segments are all on one device; nothing where it does not run, or the system does not tell."""
    segments = result.compiled.segments
    try:
        loaded, private = private_memory(result.folder)
    except UserError:
        return
    arena = sum(held.arena for held in result.predicted.held.values())
    yield MeasuredMemory(subject.case, subject.network, needs_of(segments, segments, target), arena, loaded, private)
