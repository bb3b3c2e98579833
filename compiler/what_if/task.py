"""One row to be made: on this machine or another one, from files that lie there under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from ...grammar import HwError
from ...targets.model import Target
from ..errors import UserError, first_line
from ..hw.buckets import bucket_shapes
from ..hw.load_target import find_target, load_target
from ..load.bind_shapes import Shapes, parse_shapes
from .code_version import code_version
from .plan_again import Prepared, plan_for, prepare
from .row import Row, results_of
from .setting import Machine, Setting, applied, machine_of

KEPT = 2
"""Models that a process holds ready for another plan, and targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    model: str
    """As it was given."""
    path: str
    """The same from the root."""
    target: str
    """A file from the root, or a stock name."""
    bucket: str | None = None
    sizes: tuple[str, ...] = ()
    """As `--shape` was given."""
    settings: tuple[tuple[str, str, float], ...] = ()
    """(path of the number, its text, its value in SI)."""
    row: Row
    """What is known of it before it is made."""

    @property
    def pair(self) -> tuple[str, str]:
        return self.path, self.target


def make_row(task: Task) -> Row:
    """The row with its results, or with the error for which there are none. Never raises for what a model or a target holds."""
    try:
        if task.row.version != code_version():
            return replace(task.row, error=f"this process runs autoglmc {code_version()}, and {task.row.version} asked")
        machine = _machine(task.target, task.row.digest)
        prepared = _prepared(_wanted(task))
        if (task.row.sha256, task.row.digest) != (prepared.loaded.sha256, machine.target.digest):
            _machine.cache_clear()  # the files may be put right while this process lives
            _prepared.cache_clear()
            return replace(task.row, error="the model or the target is another one where this was computed")
        settings = [Setting(path, text, f"{path}={text}") for path, text, _ in task.settings]
        return replace(task.row, **results_of(plan_for(prepared, applied(machine, settings), task.row.objective)))
    except Exception as problem:
        return replace(task.row, error=error_text(problem))


def error_text(problem: Exception) -> str:
    """In one line, with its place."""
    if isinstance(problem, UserError):
        return f"{problem.message} ({problem.where})" if problem.where else problem.message
    if isinstance(problem, HwError):
        first = next(found for found in problem.diagnostics if found.severity == "error")
        return f"{first.message} [{first.code}] ({first.span.origin})"
    return f"{type(problem).__name__}: {first_line(problem)}"


Sizes = tuple[tuple[str, int | tuple[int, ...]], ...]


def _sizes(target: Target, task: Task) -> Sizes:
    return tuple(sizes_of(target, task.bucket, task.sizes).items())


def sizes_of(target: Target, bucket: str | None, given: Sequence[str]) -> dict[str, int | tuple[int, ...]]:
    """Of --bucket and --shape, which wins. Raises UsageError."""
    return {**(bucket_shapes(target, bucket) if bucket else {}), **parse_shapes(given)}


def shapes_text(shapes: Shapes) -> str:
    """Sorted, as --shape takes them: "batch=1,seq=32"."""
    words = (f"{name}={size if isinstance(size, int) else 'x'.join(map(str, size))}" for name, size in sorted(shapes.items()))
    return ",".join(words)


@lru_cache(maxsize=KEPT)
def _machine(target: str, digest: str) -> Machine:
    """The target of the file, read anew where it is asked for with another digest: a worker of a cluster outlives many commands."""
    return machine_of(find_target(target), load_target(target))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model to be held ready, for whatever target."""

    path: str
    sha256: str
    sizes: Sizes
    effort: float
    target: tuple[str, str] = field(compare=False)
    """The first that it is asked for: an error may be about it."""


@lru_cache(maxsize=KEPT)
def _prepared(wanted: Wanted) -> Prepared:
    return prepare(Path(wanted.path), _machine(*wanted.target).target, dict(wanted.sizes), wanted.effort)


def check_model(task: Task) -> None:
    """Holds the model ready. Raises what `make_row` would write into every row of it."""
    _prepared(_wanted(task))


def _wanted(task: Task) -> Wanted:
    machine = _machine(task.target, task.row.digest)
    return Wanted(task.path, task.row.sha256, _sizes(machine.target, task), task.row.effort, (task.target, task.row.digest))
