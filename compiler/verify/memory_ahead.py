"""How much private memory writing and verifying a bundle takes: told before anything is written or run.

Upper bounds by terms, for the process that compiles and for the one that evaluates the untouched model; pages of mapped files do not count.
Measured beside them: docs/benchmarks.md, compile_memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from ..errors import UserError
from ..mapped_arrays import IN_MEMORY
from ..quantities import size
from ..reference.evaluate import WIDENED
from ..reference.open_untouched import PACKED
from .trial import LARGE_ANSWER, NOISE

MIB = 2**20
HERE = "this process"
MARGIN = 0.05
"""Added to a limit that is advised: what the process holds already differs from one run to the next."""
COLLECTIONS = 3
"""Of arrays that a verification keeps: answers, inputs, outputs; each has IN_MEMORY bytes that are not in a file."""
SETS = 32
"""Input sets at most, those that are only tried included."""
JUDGED = 8
"""Arrays as large as an output, in float64, while it is judged."""
RUNTIME = 32 << 20
"""Bytes of a runtime's libraries and of a session without weights."""
REFERENCE = 96 << 20
"""Bytes of the process that evaluates the model, without weights and answers."""


class TooMuchMemory(UserError):
    """A compilation would take more memory than it may."""

    kind = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSizes:
    """Bytes of a planned bundle."""

    weights: int
    """All of them, each once."""
    packed: int
    """Those of which sessions may hold a form of their own."""
    largest: int
    """The largest one."""
    activations: int
    """The arena, and the most inside a segment."""
    given: int
    """Inputs of one set."""
    made: int
    """Outputs of one set, in float64."""


@dataclass(frozen=True, slots=True)
class MemoryAhead:
    """Bytes at most of one process, by what takes them."""

    process: str
    terms: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.terms.values())

    def __str__(self) -> str:
        return " + ".join(f"{size(count)} {what}" for what, count in self.terms.items() if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifying:
    """How the bundle is compared with its model."""

    at_once: bool = True
    """Whether sessions and the comparison are there together, since what is seen chooses further inputs; steps are compared once all of
    them have been taken."""
    stages: bool = False
    """Whether stages of the compilation are run, too."""
    sets: int = SETS
    """Input sets at most."""
    message: bool = False
    """Whether the untouched model goes to its process as a message, weights included."""


def memory_ahead(sizes: PlannedSizes, held: int, temporary: int, verifying: Verifying | None) -> tuple[MemoryAhead, ...]:
    """Of each process. held: private bytes of this one now; temporary: bytes of temporary files that are memory. verifying: None where the
    bundle is not verified."""
    now = {"held now": held, "temporary files, which are memory here": temporary}
    if verifying is None:
        return (MemoryAhead(HERE, now),)
    running, comparing = dict(_running(sizes, verifying)), dict(_comparing(sizes, verifying))
    other = MemoryAhead("the process that evaluates the untouched model", dict(_evaluating(sizes, verifying)))
    if verifying.at_once:
        return MemoryAhead(HERE, {**now, **running, **comparing}), other
    return (
        MemoryAhead(f"{HERE} while entries run", {**now, **running}),
        MemoryAhead(f"{HERE} while their outputs are compared", {**now, **comparing}),
        other,
    )


def _running(sizes: PlannedSizes, verifying: Verifying) -> Iterator[tuple[str, int]]:
    yield "weights packed for kernels", sizes.packed
    if verifying.stages:
        yield "weights of a stage that is checked", sizes.weights
    yield "activations", sizes.activations
    yield "the runtime", RUNTIME


def _comparing(sizes: PlannedSizes, verifying: Verifying) -> Iterator[tuple[str, int]]:
    yield "arrays to compare", min(COLLECTIONS * IN_MEMORY, verifying.sets * (sizes.given + 2 * sizes.made))
    yield "an answer on its way", _answer(sizes)
    yield "outputs that are judged", JUDGED * sizes.made
    if verifying.message:
        yield "the model as a message", 2 * sizes.weights


def _evaluating(sizes: PlannedSizes, verifying: Verifying) -> Iterator[tuple[str, int]]:
    yield "Python and its libraries", REFERENCE
    kept = 2 * sizes.weights if 2 * sizes.weights <= WIDENED else 0
    yield "weights in float64", kept or 2 * 2 * sizes.largest
    if sizes.weights <= PACKED:
        yield "weights of two sessions", 2 * sizes.weights
    if verifying.message:
        yield "the model as a message", 2 * sizes.weights
    yield "activations", 2 * sizes.activations
    yield "an answer on its way", 2 * _answer(sizes)


def _answer(sizes: PlannedSizes) -> int:
    """Several random roundings in one message where they are small, else one; outputs in the model's own dtypes beside it."""
    return min(LARGE_ANSWER, (NOISE[-1] - NOISE[-2]) * sizes.made) + 2 * sizes.made


def arrays_in_files(sizes: PlannedSizes, sets: int) -> int:
    """Bytes of what a verification keeps in temporary files at most: of every set, all ways to round its outputs."""
    return sets * (sizes.given + (NOISE[1] + 4) * sizes.made)


def together(found: Sequence[MemoryAhead]) -> int:
    """Bytes at most of all processes at once, of which one is this one."""
    each: dict[str, int] = {}
    for one in found:
        process = "this" if one.process.startswith(HERE) else one.process
        each[process] = max(each.get(process, 0), one.total)
    return sum(each.values())


def check_memory_ahead(found: Sequence[MemoryAhead], limit: int, *, verify: bool) -> None:
    """Raises TooMuchMemory where one process needs more than `limit` bytes."""
    most = max(found, key=lambda one: one.total)
    if most.total > limit:
        taken = f"takes up to {size(most.total)} of memory in {most.process}, and {size(limit)} are allowed: {most}"
        raise _too_much(taken, "--memory-limit", "is enough by this forecast", most.total, verify)


def check_group_ahead(found: Sequence[MemoryAhead], held: int, room: float, *, verify: bool) -> None:
    """Raises TooMuchMemory where all processes take more than a control group leaves. held: bytes of this one that it counts already."""
    whole = together(found)
    if whole - held > room:
        most, left = max(found, key=lambda one: one.total), size(held + int(room))
        taken = f"takes up to {size(whole)} of memory in all processes, and the control group leaves {left}; {most.process} takes {most}"
        raise _too_much(taken, "the limit on memory", "tries it all the same", most.total, verify)


def _too_much(taken: str, where: str, what: str, most: int, verify: bool) -> TooMuchMemory:
    enough = ceil(most * (1 + MARGIN) / MIB)
    less = ", or --no-verify, which takes less" if verify else ""
    doing = "compiling and verifying" if verify else "compiling"
    return TooMuchMemory(f"{doing} {taken}", where=where, help=f"--memory-limit {enough}MiB {what}{less}")
