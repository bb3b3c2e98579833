"""How much private memory writing and verifying a bundle takes: told before anything is written or run.

Upper bounds by terms, for the process that compiles and for the one that evaluates the untouched model; pages of mapped files do not count.
Measured beside them: docs/benchmarks.md, compile_memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from ..errors import UserError
from ..mapped_arrays import IN_MEMORY
from ..quantities import size
from ..reference.evaluate import WIDENED
from ..reference.open_untouched import PACKED
from .trial import NOISE

MIB = 2**20
MARGIN = 0.05
"""Added to a limit that is advised: what the process holds already differs from one run to the next."""
COLLECTIONS = 3
"""Of arrays that a verification keeps: answers, inputs, outputs; each has IN_MEMORY bytes that are not in a file."""
SETS = 32
"""Input sets at most, those that are only tried included."""
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


def memory_ahead(sizes: PlannedSizes, held: int, *, verify: bool, staged: int) -> tuple[MemoryAhead, ...]:
    """Of each process. held: private bytes of this one now; verify: whether the bundle is; staged: weights up to which stages of the
    compilation are run, too."""
    if not verify:
        return (MemoryAhead("this process", {"held now": held}),)
    return tuple(MemoryAhead(name, dict(terms)) for name, terms in (
        ("this process", _comparing(sizes, held, sizes.weights < staged)),
        ("the process that evaluates the untouched model", _evaluating(sizes)),
    ))  # fmt: skip


def _comparing(sizes: PlannedSizes, held: int, stages: bool) -> Iterator[tuple[str, int]]:
    yield "held now", held
    yield "weights packed for kernels", sizes.packed
    if stages:
        yield "weights of a stage that is checked", sizes.weights
    yield "activations", sizes.activations
    yield "arrays to compare", min(COLLECTIONS * IN_MEMORY, SETS * (sizes.given + 2 * sizes.made))
    yield "an answer on its way", 2 * (NOISE[-1] - NOISE[-2]) * sizes.made  # as a message, and as arrays
    yield "the runtime", RUNTIME


def _evaluating(sizes: PlannedSizes) -> Iterator[tuple[str, int]]:
    yield "Python and its libraries", REFERENCE
    kept = 2 * sizes.weights if 2 * sizes.weights <= WIDENED else 0
    yield "weights in float64", kept or 2 * 2 * sizes.largest
    if sizes.weights <= PACKED:
        yield "weights of two sessions", 2 * sizes.weights
    yield "activations", 2 * sizes.activations
    yield "an answer on its way", 2 * (NOISE[-1] - NOISE[-2]) * sizes.made


def check_memory_ahead(found: tuple[MemoryAhead, ...], limit: int, *, verify: bool) -> None:
    """Raises TooMuchMemory where one process needs more than `limit` bytes."""
    most = max(found, key=lambda one: one.total)
    if most.total <= limit:
        return
    doing = "compiling and verifying" if verify else "compiling"
    what = f"{doing} takes up to {size(most.total)} of memory in {most.process}, and {size(limit)} are allowed: {most}"
    enough = ceil(most.total * (1 + MARGIN) / MIB)
    less = ", or --no-verify, which takes less" if verify else ""
    raise TooMuchMemory(what, where="--memory-limit", help=f"--memory-limit {enough}MiB is enough by this forecast{less}")
