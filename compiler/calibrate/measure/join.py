"""Join what a runtime reports to the kernels of a segment, by name: runtimes rename what they fuse and lay out anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .segment_kernels import Kernel

PREFIXES = re.compile(r"^(fused |fusedMatMul_|fused_|InsertedPrecisionFreeCast_)")
SUFFIXES = re.compile(r"(/WithoutBiases|_nchwc|_nhwc|_bn|_mul|_quant|_token_\d+|/?\w*Fusion\w*/?|/\w*Transformer\w*/?)$")
MOST_SUFFIXES = 4
LAYOUT = "Reorder"
"""A change of layout, as OpenVINO calls it: where images are channels last or in blocks of channels, a single convolution has one on either
side, and a network hardly any."""


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
    near: tuple[str, ...] = ()
    """What operators beside it are called, nearest first: it belongs to the first of them that is known, where its own name is not."""


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
    """Each report goes to the kernels that have its names, or that write tensors of these names; to several in the proportion of the time
    that the target states for them."""
    by_name = {name: number for number, kernel in enumerate(kernels) for name in kernel.writes}
    by_name |= {name: number for number, kernel in enumerate(kernels) for name in kernel.names}
    seconds: dict[int, float] = {}
    unjoined: dict[str, float] = {}
    for one in reported:
        found = _kernels_of(one, by_name)
        stated = [kernels[number].stated for number in found]
        if not found:
            unjoined[one.name] = unjoined.get(one.name, 0.0) + one.seconds
        elif not sum(stated):
            seconds[found[0]] = seconds.get(found[0], 0.0) + one.seconds
        else:
            for number, part in zip(found, stated, strict=True):
                if part:
                    seconds[number] = seconds.get(number, 0.0) + one.seconds * part / sum(stated)
    return Joined(seconds, unjoined)


def _kernels_of(reported: Reported, by_name: Mapping[str, int]) -> list[int]:
    """The kernels that it ran, each once; of operators beside it only the first, and that where it is called nothing that is known."""
    own = next((by_name[name] for name in _spellings(reported.name) if name in by_name), None)
    made_of = [next((by_name[name] for name in _spellings(other) if name in by_name), None) for other in reported.others]
    beside = (by_name[name] for other in reported.near for name in _spellings(other) if name in by_name)
    first = next(beside, None) if own is None else own
    return [number for number in dict.fromkeys((first, *made_of)) if number is not None]


def _spellings(name: str) -> Iterator[str]:
    """What an operator of that name may be called in the segment, likeliest first."""
    yield name
    plain = PREFIXES.sub("", name)
    yield plain
    for _ in range(MOST_SUFFIXES):
        shorter = SUFFIXES.sub("", plain)
        if shorter in (plain, ""):
            break
        plain = shorter
        yield plain
