"""A decoder's bundle, step by step, against the untouched model on all tokens at once: with an empty past, so that no cache of the model's
own takes part. Places of the caches that hold no token are NaN before every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...mapped_arrays import MappedArrays
from ..compare import TensorDifference
from ..expectation import Expectation
from ..judge import judge
from ..terms import Sample, Terms
from ..trial import NOISE, Untouched, own_where_equal
from .stored_caches import StoredCaches

AGAIN = 8.0
"""Times what is allowed up to which a difference may be rounding that was measured too small."""


class Steps(Protocol):
    """A decoder with its caches (run/decoder/decoder.py)."""

    length: int

    def step(self, entry: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def filled(self) -> Mapping[str, Any]: ...

    def poison(self) -> None: ...

    def reset(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Steps from an empty cache on: which entry takes how many tokens."""

    label: str
    steps: tuple[tuple[str, int], ...]

    @property
    def tokens(self) -> int:
        return sum(number for _, number in self.steps)


def scripts(sizes: Mapping[str, int], length: int) -> tuple[Script, ...]:
    """Every entry from an empty cache and behind the others, with runs that are full and, where it takes several tokens, one that is not.
    sizes: tokens of a run by entry; length: tokens that the caches hold."""
    found = []
    order = sorted(sizes, key=lambda name: -sizes[name])
    for first in order:
        steps = [(name, number) for name in (first, *(other for other in order if other != first)) for number in _numbers(sizes[name])]
        kept, left = [], length
        for name, number in steps:
            if sizes[name] <= left:
                kept.append((name, number))
                left -= number
        found.append(Script(label=f"{' + '.join(str(n) for _, n in kept)} tokens", steps=tuple(kept)))
    return tuple(found)


def _numbers(size: int) -> tuple[int, ...]:
    return (size, size // 2 + 1) if size > 1 else (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """What was seen."""

    outputs: tuple[TensorDifference, ...]
    labels: tuple[str, ...]
    terms: Terms
    samples: Mapping[str, Sequence[Sample]]
    """Of each output, what was expected and found in each script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One script."""

    label: str
    whole: Mapping[str, Any]
    """All that the model takes, for all tokens at once."""
    got: Mapping[str, Any]
    """Outputs of all steps, and what the caches hold at the end."""


def run_scripts(
    decoder: Steps,
    plans: Sequence[Script],
    inputs: Callable[[int, int], tuple[Mapping[str, Any], Mapping[str, Any]]],
    axes: Mapping[str, int],
    tell: Callable[[str], None],
) -> tuple[Seen, ...]:
    """inputs: of a seed and a number of tokens, those that a session takes, and all that the model takes. axes: by input and output, the
    axis of tokens."""
    seen, arrays = [], MappedArrays()
    for seed, plan in enumerate(plans):
        tell(f"running {plan.label}")
        given, whole = inputs(seed, plan.tokens)
        seen.append(Seen(label=plan.label, whole=whole, got=arrays.kept(_stepped(decoder, plan, given, axes))))
    return tuple(seen)


def compare_steps(
    untouched: Untouched,
    seen: Sequence[Seen],
    *,
    terms: Terms,
    narrow: bool,
    stored: StoredCaches | None = None,
    tell: Callable[[str], None],
) -> Stepped:
    """terms: at the first look. narrow: whether a device computes in fp16. stored: where the bundle keeps caches in another dtype. Raises
    VerifyError where that does not hold their values."""
    outputs: tuple[TensorDifference, ...] = ()
    samples: dict[str, list[Sample]] = {}
    for noise in NOISE[1:]:
        samples = {}
        for one in seen:
            tell(f"comparing {one.label}")
            rounded = untouched.roundings(one.whole, half=narrow, noise=noise)
            more = () if stored is None else stored.ways(one.whole, noise)
            expectation = Expectation.of(one.label, untouched.answer(one.whole), rounded, more)
            if stored is not None:
                stored.check(expectation.expected)
            for name, value in one.got.items():
                samples.setdefault(name, []).append(expectation.sample(name, value))
        terms = terms if noise == NOISE[1] else terms.at_last
        outputs = tuple(_judged(name, samples[name], terms, untouched) for name in samples)
        if not any(d.fault for d in outputs) or max(d.excess for d in outputs) > AGAIN:
            break
    return Stepped(outputs=outputs, labels=tuple(one.label for one in seen), terms=terms, samples=samples)


def _stepped(decoder: Steps, plan: Script, given: Mapping[str, Any], axes: Mapping[str, int]) -> dict[str, Any]:
    """Outputs of all steps, joined along the tokens, and what the caches hold at the end."""
    import numpy as np

    decoder.reset()
    parts: list[Mapping[str, Any]] = []
    begin = 0
    for entry, number in plan.steps:
        decoder.poison()
        cut = {
            name: value if name not in axes else np.take(value, range(begin, begin + number), axes[name]) for name, value in given.items()
        }
        parts.append(decoder.step(entry, cut))
        begin += number
    found = {
        name: np.concatenate([part[name] for part in parts], axes[name]) if name in axes else value for name, value in parts[-1].items()
    }
    return {**found, **decoder.filled()}


def _judged(name: str, samples: Sequence[Sample], terms: Terms, untouched: Untouched) -> TensorDifference:
    found = judge(name, samples, terms)
    if not found.fault or untouched.faults:
        return found
    own = judge(name, [own_where_equal(sample) for sample in samples], terms)
    return found if own.fault else own
