"""One input varied in the ways its role knows: masks with holes, integers at their ends, numbers of another scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .generate_inputs import BYTE, SAMPLE_RATE
from .roles import Part, Role

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Change = Callable[[Part, Any, "np.random.Generator"], Any]
"""Another array for the input, of the same shape and dtype."""

CLOSED = -10000.0
"""What a mask that is added closes with: exp gives 0, and fp16 holds it."""
OPEN_SHARE = 2 / 3
WILD = (0, 1, 2, 3, 7, 100, 255, 256, 300, 1000, 12345, 32767, 70000, 2_000_003)
SCALED = frozenset({Role.IMAGE, Role.REAL})
"""Roles of inputs whose numbers can be scaled."""


def opened(part: Part) -> Any:
    """The mask that hides nothing."""
    import numpy as np

    return np.zeros(part.shape, part.dtype) if part.role is Role.ADDITIVE else np.ones(part.shape, part.dtype)


def flagged(part: Part, value: bool) -> Any:
    """The flag, set or not."""
    import numpy as np

    return np.full(part.shape, value, part.dtype)


def _mask(part: Part, keep: Any) -> Any:
    """The mask that lets pass where `keep` is true."""
    import numpy as np

    values = np.where(np.broadcast_to(keep, part.shape), 0.0, CLOSED) if part.role is Role.ADDITIVE else np.broadcast_to(keep, part.shape)
    return values.astype(part.dtype)


def _lengths(part: Part, lengths: Array) -> Any:
    """Open at the first lengths[i] places of the last axis, in row i of the first axis (where there are two)."""
    import numpy as np

    places = np.arange(part.shape[-1])
    if len(part.shape) == 1:
        return places < lengths[0]
    return places < lengths.reshape(-1, *[1] * (len(part.shape) - 1))


def _padded(part: Part, value: Any, rng: np.random.Generator) -> Any:
    import numpy as np

    size = part.shape[-1]
    return _mask(part, _lengths(part, np.full(part.shape[0], max(min(math.ceil(size * OPEN_SHARE), size - 1), 1))))


def _ragged(part: Part, value: Any, rng: np.random.Generator) -> Any:
    """Another length in each row of a batch; where there is one row, holes: nothing but the first place is sure to be open."""
    import numpy as np

    size, rows = part.shape[-1], part.shape[0]
    if len(part.shape) > 1 and rows > 1:
        return _mask(part, _lengths(part, 1 + (np.arange(rows) * max(size // rows, 1) + rng.integers(0, size, 1)) % size))
    keep = rng.random(part.shape) < OPEN_SHARE
    keep[..., 0] = True
    return _mask(part, keep)


def _headless(part: Part, value: Any, rng: np.random.Generator) -> Any:
    """Padded on the left, as decoders are."""
    import numpy as np

    return _mask(part, np.arange(part.shape[-1]) >= part.shape[-1] // 3)


def _causal(part: Part, value: Any, rng: np.random.Generator) -> Any:
    import numpy as np

    rows, columns = part.shape[-2:]
    return _mask(part, np.tri(rows, columns, columns - rows, dtype=bool) | (np.arange(columns) == 0))


def _causal_padded(part: Part, value: Any, rng: np.random.Generator) -> Any:
    import numpy as np

    rows, columns = part.shape[-2:]
    kept = np.arange(columns) < max(math.ceil(columns * OPEN_SHARE), 1)
    return _mask(part, (np.tri(rows, columns, columns - rows, dtype=bool) & kept) | (np.arange(columns) == 0))


def _ends(part: Part, value: Any, rng: np.random.Generator) -> Any:
    """Uniform over the whole range, 0 and the last number at least once where there is room, then what the model compares with."""

    low, high = range_of(part)
    made = rng.integers(low, high, part.shape, endpoint=True)
    special = [number for number in part.special if low <= number <= high]
    flat = made.reshape(-1)
    for place, number in enumerate([low, high, *special]):
        flat[(place * max(flat.size // 5, 1)) % flat.size] = number
    return made.astype(part.dtype)


def _counted(part: Part, value: Any, rng: np.random.Generator) -> Any:
    """Downwards from the last number: every one another, so that order shows."""
    import numpy as np

    low, high = range_of(part)
    count = np.arange(math.prod(part.shape)).reshape(part.shape)
    return (high - count % (high - low + 1)).astype(part.dtype)


def _wild(part: Part, value: Any, rng: np.random.Generator) -> Any:
    """Negative ones and large ones, as audio, sums and identifiers have them; a model that indexes by them refuses them."""
    import numpy as np

    limits = np.iinfo(part.dtype)
    sizes = [number for number in WILD if number <= limits.max]
    numbers = [*sizes, *(-number for number in sizes if limits.min < 0)]
    made = np.array(numbers)[rng.integers(0, len(numbers), part.shape)].reshape(-1)
    for place, number in enumerate((numbers[-1], *part.special)):
        if made.size and limits.min <= number <= limits.max:
            made[(place * max(made.size // 5, 1)) % made.size] = number
    return made.reshape(part.shape).astype(part.dtype)


def _shifted(part: Part, value: Any, rng: np.random.Generator) -> Any:
    import numpy as np

    return ((np.asarray(value).astype(np.int64) + 1) % (part.fit.high + 1 if part.fit else BYTE)).astype(part.dtype)


def _scattered(part: Part, value: Any, rng: np.random.Generator) -> Any:
    return rng.integers(0, part.fit.high + 1 if part.fit else BYTE, part.shape).astype(part.dtype)


def range_of(part: Part) -> tuple[int, int]:
    """The first and the last number that such an integer input is given."""
    import numpy as np

    if part.fit is not None:
        return part.fit.low, part.fit.high
    if part.dtype is None or part.dtype.kind not in "iu":
        return 0, 7
    limits = np.iinfo(part.dtype)
    return (int(limits.min), int(limits.max)) if limits.max < BYTE else (0, max(BYTE - 1, *part.special, 0))


MASKS: tuple[tuple[str, Change], ...] = (("padded at the end", _padded), ("ragged", _ragged), ("padded at the start", _headless))
SQUARE_MASKS: tuple[tuple[str, Change], ...] = (("causal", _causal), ("causal and padded", _causal_padded), ("ragged", _ragged))
INTEGERS: tuple[tuple[str, Change], ...] = (("over its whole range", _ends), ("counting down", _counted))
ANY_INTEGERS = (*INTEGERS, ("negative and large", _wild))
POSITIONS: tuple[tuple[str, Change], ...] = (("shifted by one", _shifted), ("at random", _scattered))


def variants_of(part: Part) -> tuple[tuple[str, Change], ...]:
    """(label for messages, the change): of masks, indices, positions and other integers; () for other roles."""
    if part.role in (Role.MASK, Role.ADDITIVE):
        small = not part.shape or part.shape[-1] == 1
        return () if small else SQUARE_MASKS if len(part.shape) >= 3 and part.shape[-2] > 1 else MASKS
    if part.role is Role.INTEGER and part.fit is None and part.dtype is not None and part.dtype.itemsize > 1 and part.dtype.kind in "iu":
        return ANY_INTEGERS
    return {Role.INDEX: INTEGERS, Role.INTEGER: INTEGERS, Role.POSITION: POSITIONS}.get(part.role, ())


def controls_of(part: Part, longest: int) -> list[int]:
    """Values for a one-element integer or for lengths, the most telling first; the model may refuse some. 1 is in every plain set."""
    usual = [0, 2, 3] if part.role is Role.SHAPING else [0, 2, 3, longest] if SAMPLE_RATE not in part.special else []
    return list(dict.fromkeys([*part.special, *usual]))


def scaled(part: Part, value: Any, factor: float, sign: str) -> Any:
    """Numbers `factor` times as large; all positive (sign "+") or all negative ("-")."""
    import numpy as np

    wide = np.asarray(value).astype(np.float64)
    turned = np.abs(wide) if sign == "+" else -np.abs(wide) if sign == "-" else wide
    return _held(turned * factor, part)


def pixels(part: Part, value: Any, largest: float) -> Any:
    """An image whose numbers run from 0 to `largest`, as cameras give them."""
    import numpy as np

    wide = np.asarray(value).astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    values = (wide - low) / (high - low or 1.0) * largest
    return _held(np.rint(values) if largest > 1 else values, part)


def _held(values: Any, part: Part) -> Any:
    """In the input's dtype, no number beyond what it holds."""
    import numpy as np

    largest = float(np.finfo(part.dtype).max) if part.dtype in (np.float16, np.float32, np.float64) else math.inf
    return np.clip(values, -largest, largest).astype(part.dtype)
