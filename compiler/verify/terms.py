"""What is judged, and how strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..reference.rounding import Chains

COSINE = 0.99
"""Of each output with the expected one, at least: beyond that no rounding was measured, a model was destroyed."""
FAR, MOST_FAR = 0.25, 0.02
"""Standard deviations from which on an element is far off, and the share of an output that may be, for outputs of MANY elements."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tensor on one input set."""

    inputs: str
    """The set's label: "seed 0"."""
    expected: Any
    """By the reference: float64, or whole numbers and strings as they are; a list for a sequence."""
    got: Any
    roundings: tuple[Any, ...] = ()
    """The untouched model rounded in other ways."""
    optimised: Any = None
    """The untouched model in another order of its arithmetic, as onnxruntime's optimiser leaves it. That may be wrong, so it counts for
    no more than BELIEVED times what the others say of a place."""
    floats: Any = None
    """The model before its activations were quantised; None where they are not."""
    steps: tuple[Any, ...] = ()
    """The untouched model with activations on other steps of their grids, next to those that they are on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How strict a judgement is."""

    largest: float = 1.5
    """An element may be off by this many times the largest rounding of its place. Measured on right bundles of the real models for four
    targets: at most 1.0 times, 1.4 in one of 6,625 channels."""
    channel: float = 1.5
    """And the root mean square of a channel by this many times that of its rounding."""
    mean: float = 1.2
    """And that of the whole tensor, which varies far less: measured, at most 0.75 times."""
    loose: float = 0.0
    """Standard deviations of its place that an element may be off besides, where approximations were taken."""
    step: float = 0.0
    """Distance of neighbours on the grid that the tensor is left on: an element may be a step off besides (half by its own rounding, half
    where what is rounded lies elsewhere), a channel half a step on average."""
    free: bool = False
    """The target's own limits decide how far off numbers may be."""
    pooled: bool = False
    """What rounding does on one input set, over the scale there, counts for all sets: for devices whose functions have coarse steps, which
    one set may miss."""
    cosine: float = COSINE
    """What every output must have with the expected one, at least."""
    far: float = MOST_FAR
    """Share of an output that may be far off."""
    chained: Chains = ""
    """Which sums may be added up one term after the other, however long they are, where onnxruntime has blocks: what rounding every
    partial sum does (reference/rounding.py) is then part of what is measured."""
    rounding: str = "the model's own rounding"
    """What was measured, in words."""

    @property
    def at_last(self) -> Terms:
        """Where rounding was measured as often as it will be: a bundle that rounds in ways of its own (weights that were folded) may still
        be a little further off."""
        return replace(self, largest=LAST * self.largest, channel=LAST * self.channel, mean=LAST * self.mean)


LAST = 1.5
"""How much more is allowed at the last look."""
EXACT = Terms()
NARROW = Terms(largest=7.0, channel=5.0, mean=4.0, pooled=True, rounding="what rounding to fp16 changes")
"""Where a device computed in fp16; its function units are part of what was measured (reference/device_functions.py). Right results of the
Hexagon emulator, 14 models of 7 input sets or so each: the largest difference is at most 2.2 times that of its place; on sets of small
numbers, which nearly vanish in its steps, 8 times. A wrong kernel gives tens of times."""
STORED = Terms(largest=3.0, channel=3.0, mean=2.4, rounding="what rounding its caches changes")
"""Where caches have fewer bits than the model's: attention that extends them computes in their dtype, so that its query and its result are
rounded as well. Right bundles of 10 decoders, written in either way: at most 1.5 times. Rounding to three bits less gives eight times."""
OTHER_KERNELS = Terms(largest=3.0, channel=3.0, mean=2.4, chained="sums")
"""Where another runtime than onnxruntime computed all of a model in fp32: kernels round in ways of their own (exp and tanh are the likely
ones; it was not traced to single kernels). Measured on right files of eight models on LiteRT 2.3 (XNNPACK): at the last look, at most 2.4
times the largest rounding of a place."""
ONE_BY_ONE = replace(OTHER_KERNELS, chained="deviations")
"""Where a runtime adds up the squares of a normalisation one by one, as the CPU interpreter of coreai-core 1.0.0b3 does: measured,
InstanceNormalization over 256 x 256 is off by 50 to 105 unit roundoffs of fp32 there, and over 512 x 512 by 370 to 550, where LiteRT 2.3 is
off by at most 4. Dividing by n - 1 instead of n is off by 128 over 256 x 256: beyond that size it is not told from such rounding."""
CHAINS: Mapping[str, Chains] = {"ort": "", "litert": "sums"}
"""Which sums a runtime adds up one term after the other, by name of its adapter; all of them where none was measured."""
APPROXIMATE = 0.1
"""`loose` where approximations were taken and the target states no limit: beyond it something is wrong, not approximate."""
BELIEVED = 4.0
"""How often the rounding of a place that was measured otherwise onnxruntime's optimiser may show."""
ULPS = 3.0
"""Unit roundoffs of the largest number of a place that an element may always be off besides: the neighbours of the number nearest to the
right one are up to one and a half steps away, and every way in which rounding was measured may by chance have met the nearest."""
AVERAGE_ULPS = 0.5
"""And a channel on average."""
UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Unit roundoff (half the distance of 1 to the next number) by dtype."""
FEW = 8.0
"""Unit roundoffs of the largest number of an output that turn no direction: beside a saturated output's spread they may be large."""
MANY = 50
ENOUGH = 16
"""Elements of a place from which on its root mean square says something."""
TINY = 2.0**-126
"""The smallest normal number of fp32: what is smaller some kernels flush to zero."""
