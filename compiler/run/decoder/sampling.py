"""How the next token is chosen from logits: the largest, or a draw from the likeliest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from ...errors import UsageError, UserError

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn.

    Raises UsageError for a number outside its range."""

    temperature: float = 0.0
    """Logits are divided by it before they become probabilities; 0: the token with the largest logit, of equal ones the first."""
    top_k: int = 0
    """Tokens that may be drawn, the likeliest; 0 for all."""
    top_p: float = 1.0
    """Of those, the likeliest that together have at least this probability."""
    seed: int | None = None
    """Equal seeds draw equal tokens from equal logits; None: another one every time."""

    def __post_init__(self) -> None:
        for name in ("temperature", "top_k", "top_p", "seed"):
            kind, given = (Integral if name in ("top_k", "seed") else Real), getattr(self, name)
            if not isinstance(given, kind) and not (name == "seed" and given is None):
                raise UsageError(f"{name} is a {'whole ' if kind is Integral else ''}number, not {given!r}")
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"a temperature is 0 or more, not {self.temperature}")
        if self.top_k < 0:
            raise UsageError(f"top_k is a number of tokens, or 0 for all, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is a probability above 0, at most 1, not {self.top_p}")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"a seed is 0 or more, not {self.seed}")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


def draw(logits: numpy.ndarray[Any, Any], sampling: Sampling, random: numpy.random.Generator) -> int:
    """The token chosen from logits of one place, [vocabulary]. Raises UserError where one of them is NaN, or all are infinite."""
    import numpy

    best = int(logits.argmax())  # of a NaN, if there is one
    if not math.isfinite(logits[best]):
        raise UserError("the model's logits are not finite: no token can be chosen", help="see whether `autoglmc verify` finds a fault")
    if sampling.greedy:
        return best
    scaled = (logits.astype(numpy.float64) - float(logits[best])) / sampling.temperature
    tokens = _likeliest(scaled, sampling.top_k)
    weights = numpy.exp(scaled[tokens])
    kept = _nucleus(weights, sampling.top_p)
    tokens, ends = tokens[kept], numpy.cumsum(weights[kept])
    return int(tokens[min(int(numpy.searchsorted(ends, random.random() * ends[-1], side="right")), len(tokens) - 1)])


def _likeliest(scaled: numpy.ndarray[Any, Any], count: int) -> numpy.ndarray[Any, Any]:
    """The tokens of the largest logits, in the order of tokens; of equal ones the first."""
    import numpy

    if not 0 < count < len(scaled):
        return numpy.arange(len(scaled))
    least = numpy.partition(scaled, -count)[-count]
    above = numpy.flatnonzero(scaled > least)
    return numpy.sort(numpy.concatenate([above, numpy.flatnonzero(scaled == least)[: count - len(above)]]))


def _nucleus(weights: numpy.ndarray[Any, Any], least: float) -> numpy.ndarray[Any, Any]:
    """Indices of the largest weights that together have the share `least` of all, as few as do, in the order of `weights`.

    What is lighter than (1 - least) / n of all need not be sorted: all of it together has at most 1 - least."""
    import numpy

    if least >= 1:
        return numpy.arange(len(weights))
    total = weights.sum()
    heavy = numpy.flatnonzero(weights >= (1 - least) * total / len(weights))
    falling = heavy[numpy.argsort(-weights[heavy], kind="stable")]
    enough = int(numpy.searchsorted(numpy.cumsum(weights[falling]), least * total)) + 1
    return numpy.sort(falling[:enough])
