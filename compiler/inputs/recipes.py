"""Trial sets as they are planned: named, made from a seed, equal for equal models, and varied in what each input is meant for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from .generate_inputs import generate_inputs
from .operands import Fit
from .roles import Part, Role
from .variants import SCALED, Change, controls_of, flagged, opened, pixels, scaled, variants_of

if TYPE_CHECKING:
    import onnx

PLANNED = 12
"""Sets at most, besides those for integer controls that the model may refuse."""
CONTROLS = 6
"""Values of integer controls that are tried."""
NAMED = 2
"""Inputs that a label names."""
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make one set."""

    label: str
    seed: int
    changes: Mapping[str, Change]
    """By input; the others stay as the seed makes them."""
    kind: str = "plain"
    """"plain", "scale", "control"."""
    start: Values | None = None
    """Inputs to begin with instead of the seed's."""
    flags: int = 0
    """Which flags are set: differs from set to set."""


class Cook:
    """Makes sets of a model's inputs."""

    def __init__(self, model: onnx.ModelProto, parts: Sequence[Part], shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> None:
        self.model, self.shapes = model, shapes
        self.fits = {part.name: part.fit for part in parts if part.fit is not None}
        self.parts = {part.name: part for part in parts if part.name in names}
        self.inverted = False
        """Whether a mask closes where it is one."""
        self.settled: dict[str, Any] = {}
        """Integer controls in place of those that the model refuses."""

    def make(self, recipe: Recipe) -> dict[str, Any]:
        """Arrays by input. Raises ModelError for an input that is neither a tensor nor a sequence of tensors."""
        import numpy as np

        values = dict(recipe.start) if recipe.start is not None else self._base(recipe)
        for name, change in recipe.changes.items():
            part = self.parts[name]
            made = np.asarray(change(part, values[name], np.random.default_rng([recipe.seed, zlib.crc32(name.encode()), 1])))
            values[name] = self._turned(part, made) if part.role is Role.MASK else made
        return values

    def narrow(self) -> bool:
        """From now on integers of which nothing is known are 0 or 1; whether there are any."""
        loose = [part for part in self.parts.values() if part.role in (Role.INTEGER, Role.CONTROL) and part.fit is None]
        self.parts.update({part.name: replace(part, role=Role.INDEX, fit=Fit(0, 1)) for part in loose})
        self.fits.update({part.name: Fit(0, 1) for part in loose})
        return bool(loose)

    def _base(self, recipe: Recipe) -> dict[str, Any]:
        made = generate_inputs(self.model, recipe.seed, self.shapes, self.fits)
        values = {name: made[name] for name in self.parts}
        flags = [part for part in self.parts.values() if part.role is Role.FLAG]
        for place, part in enumerate(flags):
            values[part.name] = flagged(part, flag_of(recipe.flags, place))
        for part in self.parts.values():
            if part.role in (Role.MASK, Role.ADDITIVE, Role.SHAPING):
                values[part.name] = self._turned(part, opened(part)) if part.role is Role.MASK else opened(part)
        return {**values, **self.settled}

    def _turned(self, part: Part, mask: Any) -> Any:
        return (1 - mask).astype(mask.dtype) if self.inverted and mask.dtype.kind != "b" else ~mask if self.inverted else mask


def flag_of(number: int, place: int) -> bool:
    """Set in set 0, not set in set 1; then flags that follow each other differ, and so does each from set to set."""
    return number == 0 if number < 2 else (number + place) % 2 == 0


def planned(cook: Cook) -> list[Recipe]:
    """The plain seeds, then masks and integers, integer controls and other scales in turn."""
    parts = list(cook.parts.values())
    lists = [list(_varied(parts)), list(_controlled(parts)), list(_scaled(parts))]
    mixed = [recipe for group in zip_longest(*lists) for recipe in group if recipe is not None]
    plain = [Recipe(f"seed {seed}", seed, {}, flags=seed) for seed in range(3)]
    limited = [*plain[:2], *mixed, plain[2]]
    room = PLANNED + sum(recipe.kind == "control" for recipe in limited)
    return [
        Recipe(r.label, r.seed if r.kind == "plain" and not r.changes else k, r.changes, r.kind, flags=k)
        for k, r in enumerate(limited[:room])
    ]


def special(parts: Sequence[Part]) -> Recipe:
    """Infinities, NaN and 0 among the numbers."""

    def change(part: Part, value: Any, rng: Any) -> Any:
        import numpy as np

        made = np.array(value)
        for place, number in enumerate((np.nan, np.inf, -np.inf, 0.0)):
            made.reshape(-1)[place :: max(made.size // 2, 5)] = number
        return made

    return Recipe("infinities and NaN", 0, {part.name: change for part in parts})


def rounded(parts: Sequence[Part]) -> Recipe:
    """Whole numbers: some occur more than once."""

    def change(part: Part, value: Any, rng: Any) -> Any:
        import numpy as np

        return np.rint(np.asarray(value).astype(np.float64)).astype(part.dtype)

    return Recipe("whole numbers", 0, {part.name: change for part in parts})


def halves(parts: Sequence[Part]) -> Recipe:
    """Zeros, halves and whole numbers, as behind a Relu or a quantiser: what is decided at exactly 0 or half-way shows."""

    def change(part: Part, value: Any, rng: Any) -> Any:
        import numpy as np

        return (np.rint(2.0 * np.asarray(value).astype(np.float64)) / 2.0).astype(part.dtype)

    return Recipe("zeros and halves", 0, {part.name: change for part in parts}, "scale")


def named(changes: Mapping[str, str]) -> str:
    """ "mask padded at the end, ids counting down and 3 more"."""
    shown = [f"{name} {text}".strip() for name, text in changes.items()]
    more = len(shown) - NAMED
    return ", ".join(shown[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _varied(parts: Sequence[Part]) -> Iterator[Recipe]:
    """Every variant of every mask and integer, as many at once as there are inputs."""
    kinds = {part.name: variants for part in parts if (variants := variants_of(part))}
    for k in range(max((len(variants) for variants in kinds.values()), default=0)):
        chosen = {name: variants[k % len(variants)] for name, variants in kinds.items()}
        label = named({name: text for name, (text, _) in chosen.items()})
        yield Recipe(label, 0, {name: change for name, (_, change) in chosen.items()})


def _controlled(parts: Sequence[Part]) -> Iterator[Recipe]:
    """All controls at once, then each alone, since one value may be refused."""
    longest = longest_of(parts)
    values = {part.name: controls_of(part, longest) for part in parts if part.role in (Role.CONTROL, Role.SHAPING)}
    rounds = [{name: numbers[k] for name, numbers in values.items() if k < len(numbers)} for k in range(CONTROLS)]
    alone = [{name: number} for name, numbers in values.items() for number in numbers[:2]] if len(values) > 1 else []
    choices = [*rounds[: CONTROLS // 2], *alone[: CONTROLS // 2]] if alone else rounds
    for choice in choices:
        if choice:
            yield control(choice)


def control(choice: Mapping[str, int]) -> Recipe:
    """A set with these integers."""
    label = ", ".join(f"{name} = {number}" for name, number in choice.items())
    return Recipe(label, 0, {name: filled(number) for name, number in choice.items()}, "control")


def filled(number: float) -> Change:
    """Every element that number."""
    import numpy as np

    return lambda part, value, rng: np.full(part.shape, number).astype(part.dtype)


def longest_of(parts: Sequence[Part]) -> int:
    """The longest a sequence may be: the largest second dim of an input of two or three."""
    return max((part.shape[1] for part in parts if len(part.shape) in (2, 3)), default=8)


def _scaled(parts: Sequence[Part]) -> Iterator[Recipe]:
    scaling = [part for part in parts if part.role in SCALED]
    images = any(part.role is Role.IMAGE for part in scaling)
    if not scaling:
        return
    for label, factor, sign, largest in (("large", 10, "", 255), ("small", 0.01, "", 0), ("positive", 1, "+", 1), ("negative", 1, "-", 0)):
        text = f" (images 0 to {largest})" if largest and images else ""
        yield scale(scaling, f"{label} numbers{text}", factor, sign, largest)
        if label == "large":
            yield halves(scaling)
    if any(part.role is Role.REAL for part in scaling):
        yield scale(scaling, "numbers times 100", 100, "", 0)


def scale(parts: Sequence[Part], label: str, factor: float, sign: str, largest: int = 0) -> Recipe:
    """All numbers scaled; images from 0 to `largest` where that is given."""

    def change(part: Part, value: Any, rng: Any) -> Any:
        return pixels(part, value, largest) if largest and part.role is Role.IMAGE else scaled(part, value, factor, sign)

    return Recipe(label, 0, {part.name: change for part in parts}, "scale")
