"""What a sweep asks: pairs of a model and a target, and the points of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ...grammar import HwError
from ..errors import UsageError, UserError
from ..hw.load_target import find_target, load_target
from ..load.bind_shapes import Shapes
from ..load.shapes_by_model import shapes_by_model
from ..load.weights import model_sha256
from .code_version import code_version
from .row import Row
from .setting import Machine, Setting, applied, check_apart, machine_of, read_setting
from .spread import Axis, check_size, read_axis, si_value
from .task import Task, error_text, shapes_text, sizes_of

T = TypeVar("T")
Point = tuple[tuple[str, str, float], ...]
"""(path, text, SI value) of every number that is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says."""

    models: tuple[Path, ...]
    targets: tuple[str, ...]
    sets: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    bucket: str | None = None
    effort: float = 1.0
    objective: str = "latency"


@dataclass(frozen=True, slots=True)
class Ask:
    """The same, read."""

    settings: tuple[tuple[str, str, float], ...]
    axes: tuple[Axis, ...]
    """The first is the one along which plans are watched for changes."""
    pairs: tuple[Task, ...]
    """A task without settings for each model and target, models first."""

    def points(self) -> Iterator[Point]:
        """The first axis runs fastest."""
        others = [[(axis.path, *pair) for pair in zip(axis.texts, axis.values, strict=True)] for axis in reversed(self.axes)]
        for chosen in itertools.product(*others):
            yield (*self.settings, *reversed(chosen))

    def tasks(self) -> tuple[Task, ...]:
        return tuple(at_point(pair, point) for pair in self.pairs for point in self.points())


def at_point(pair: Task, point: Point) -> Task:
    return replace(pair, settings=point, row=replace(pair.row, settings={path: value for path, _, value in point}))


def read_ask(given: Given, warn: Callable[[str], None]) -> Ask:
    """Raises UsageError for settings and sweeps that no target takes. A model or a target that cannot be read is an error of its rows, but
    where it is the only one."""
    machines = {target: _tried(lambda target=target: _machine(target, warn)) for target in dict.fromkeys(given.targets)}  # type: ignore[misc]
    usable = [machine for machine in machines.values() if isinstance(machine, Machine)]
    if not usable:
        raise next(machine for machine in machines.values() if isinstance(machine, Exception))
    settings, axes = _first(usable, lambda machine: _read(given, machine))
    hashes = {model: _tried(lambda model=model: model_sha256(model)) for model in dict.fromkeys(given.models)}  # type: ignore[misc]
    if len(hashes) == 1 and isinstance(problem := next(iter(hashes.values())), Exception):
        raise problem
    sizes = shapes_by_model([model for model, sha256 in hashes.items() if isinstance(sha256, str)], given.sizes)
    pairs = [
        _pair(model, target, hashes[model], machines[target], replace(given, sizes=_words(sizes, model, given)))
        for model in hashes
        for target in machines
    ]
    return Ask(settings, axes, tuple(pairs))


def _words(sizes: Mapping[Path, Shapes], model: Path, given: Given) -> tuple[str, ...]:
    """What of --shape is about the model."""
    if model not in sizes:
        return given.sizes
    return (shapes_text(sizes[model]),) if sizes[model] else ()


def _machine(target: str, warn: Callable[[str], None]) -> Machine:
    return machine_of(find_target(target), load_target(target, warn))


def _tried(make: Callable[[], T]) -> T | Exception:
    try:
        return make()
    except (UserError, HwError, OSError) as problem:
        return problem


def _first(machines: Sequence[Machine], read: Callable[[Machine], T]) -> T:
    """Of the first target that takes all. Raises the first one's refusal where none does."""
    tried = [_tried(lambda machine=machine: read(machine)) for machine in machines]  # type: ignore[misc]
    for found in tried:
        if not isinstance(found, Exception):
            return found
    refusal = tried[0]
    assert isinstance(refusal, Exception)
    raise refusal


def _read(given: Given, machine: Machine) -> tuple[tuple[tuple[str, str, float], ...], tuple[Axis, ...]]:
    settings = [read_setting(text, machine) for text in given.sets]
    axes = [read_axis(text, machine) for text in given.sweeps]
    check_size(axes)
    check_apart([*settings, *(Setting(axis.path, axis.texts[0], axis.option) for axis in axes)])
    applied(machine, settings)
    return tuple((one.path, one.text, si_value(one.text, machine.number(one.path).dimension)) for one in settings), tuple(axes)


def _pair(model: Path, target: str, sha256: str | Exception, machine: Machine | Exception, given: Given) -> Task:
    """Its row has the error where it cannot be asked about."""
    problem = next((error_text(one) for one in (sha256, machine) if isinstance(one, Exception)), "")
    shapes, known = "", isinstance(machine, Machine)
    if isinstance(machine, Machine):
        sizes = _tried(lambda: sizes_of(machine.target, given.bucket, given.sizes))
        if isinstance(sizes, UsageError) and len(given.targets) == 1:
            raise sizes
        problem, shapes = (problem or error_text(sizes), "") if isinstance(sizes, Exception) else (problem, shapes_text(sizes))
    row = Row(
        model=str(model),
        sha256=sha256 if isinstance(sha256, str) else "",
        target=machine.target.name if isinstance(machine, Machine) else target,
        digest=machine.target.digest if isinstance(machine, Machine) else "",
        version=code_version(),
        effort=given.effort,
        objective=given.objective,
        shapes=shapes,
        error=problem,
    )
    file = str(find_target(target).resolve()) if known and Path(target).is_file() else target
    return Task(model=str(model), path=str(model.resolve()), target=file, bucket=given.bucket, sizes=given.sizes, row=row)
