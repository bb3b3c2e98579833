"""Join what a runtime reports to the kernels of a segment, by name: runtimes rename what they fuse and lay out anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .segment_kernels import Kernel

PREFIXES = re.compile(r"^(fused |fusedMatMul_|fused_|InsertedPrecisionFreeCast_)")
SUFFIXES = re.compile(r"(/WithoutBiases|_nchwc|_nhwc|_quant|_token_\d+|/?\w*Fusion\w*/?|/\w*Transformer\w*/?)$")
MOST_SUFFIXES = 4


@dataclass(frozen=True, slots=True)
class Reported:
    """An operator that a runtime has run, with its time over all calls in one run."""

    name: str
    seconds: float
    calls: float = 1.0
    """In one run."""
    others: tuple[str, ...] = ()
    """Further names of it: the operators it was made of, the tensors it writes."""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """Seconds of one run by the index of the kernel, and what belongs to none."""

    seconds: Mapping[int, float]
    unjoined: Mapping[str, float] = field(default_factory=dict)
    """By the runtime's own name."""

    @property
    def missing(self) -> float:
        """The share of the time that belongs to no kernel."""
        total = sum(self.seconds.values()) + sum(self.unjoined.values())
        return sum(self.unjoined.values()) / total if total else 0.0


def join(kernels: Sequence[Kernel], reported: Iterable[Reported]) -> Joined:
    """Each report goes to the one kernel that has its name, or that writes a tensor of that name."""
    by_name = {name: number for number, kernel in enumerate(kernels) for name in kernel.writes}
    by_name |= {name: number for number, kernel in enumerate(kernels) for name in kernel.names}
    seconds: dict[int, float] = {}
    unjoined: dict[str, float] = {}
    for one in reported:
        number = next((by_name[name] for name in _names(one) if name in by_name), None)
        if number is None:
            unjoined[one.name] = unjoined.get(one.name, 0.0) + one.seconds
        else:
            seconds[number] = seconds.get(number, 0.0) + one.seconds
    return Joined(seconds, unjoined)


def _names(reported: Reported) -> Iterator[str]:
    """What the operator may be called in the segment, likeliest first."""
    for name in (reported.name, *reported.others):
        yield name
        plain = PREFIXES.sub("", name)
        yield plain
        for _ in range(MOST_SUFFIXES):
            shorter = SUFFIXES.sub("", plain)
            if shorter in (plain, ""):
                break
            plain = shorter
            yield plain
