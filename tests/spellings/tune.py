"""What onnxruntime's segments are spelled as: operators of a size at which the rules pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .entry import Entry, Spelling
from .sketch import Sketch


def with_leading(s: Sketch, *shape: int) -> tuple[int, ...]:
    """The shape behind none to two axes of one or two."""
    return (*s.shape(0, 2, 1, 2), *shape)


def inner_softmax(s: Sketch) -> str:
    """Along an axis with two or more behind it, which may all be ones."""
    behind = s.pick((8, 16), (128, 1), (4, 1, 16), (1, 1))
    along = s.pick(9, 16) if behind != (1, 1) else 600
    shape = with_leading(s, along, *behind)
    axis = len(shape) - len(behind) - 1
    return str(s.op(s.pick("Softmax", "LogSoftmax", "Hardmax"), s.input(shape), axis=axis - s.pick(0, len(shape))))


def short_softmax(s: Sketch) -> str:
    behind = s.pick((256,), (16, 20), (300, 1))
    shape = with_leading(s, s.pick(2, 3, 8), *behind)
    axis = len(shape) - len(behind) - 1
    return str(s.op("Softmax", s.input(shape), axis=axis - s.pick(0, len(shape))))


def column(s: Sketch) -> str:
    """A column and one element with fewer axes, constant or not, on either side."""
    shape = with_leading(s, s.pick(256, 300), 1)
    own = (1,) * s.integer(0, len(shape) - 1)
    one = s.floats(own, 0.5, 2.0) if s.flip() else s.positive(s.input(own))
    x = s.positive(s.input(shape))
    if s.dtype == "float32" and s.integer(0, 3) == 0:
        return str(s.op("PRelu", s.input(shape), one))
    if s.integer(0, 3) == 0:
        test = s.op("Less", s.input(shape), x)
        s.hidden.add(test)
        return str(s.op("Where", test, *((x, one) if s.flip() else (one, x))))
    return str(s.op(s.pick("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"), *((x, one) if s.flip() else (one, x))))


def short_rows(s: Sketch) -> str:
    """Rows of two to sixteen elements, a constant for all of them on either side."""
    row = s.pick((2,), (3,), (4, 4), (2, 1), (1, 5, 2), (16,))
    shape = (*s.shape(0, 1, 1, 2), s.pick(1024, 1080), *row)
    own = (*(1,) * s.integer(0, len(shape) - len(row)), *row)
    pair = (s.positive(s.input(shape)), s.floats(own, 0.5, 2.0))
    return str(s.op(s.pick("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"), *(pair if s.flip() else pair[::-1])))


def large(name: str, size: int, **numbers: Sequence[float]) -> Spelling:
    """An operator on one tensor of so many elements or more; attributes of these values, or left out."""

    def spell(s: Sketch) -> str:
        x = s.input(with_leading(s, s.pick(8, 9), size // 8))
        given = {key: s.pick(*values) for key, values in numbers.items() if s.flip()}
        return str(s.op(name, x, **given))

    return spell


def large_prelu(s: Sketch) -> str:
    shape = with_leading(s, 8, 2048)
    return str(s.op("PRelu", s.input(shape), s.floats(s.within(shape)) if s.flip() else s.input((8, 1))))


def power(s: Sketch) -> str:
    return str(s.op("Pow", s.positive(s.input(with_leading(s, 8, 64))), s.number(s.pick(0.25, 0.5, 0.75), 2)))


def local_response(s: Sketch) -> str:
    x = s.input((s.integer(1, 2), s.integer(1, 7), *s.pick((16, 8), (1, 128), (13, 17))))
    numbers = {"alpha": (1e-4, 0.5), "beta": (0.25, 0.5, 0.75, 1.0, 2.0), "bias": (0.5, 1.0, 2.0)}
    given = {key: s.pick(*values) for key, values in numbers.items() if s.flip()}
    return str(s.op("LRN", x, size=s.pick(1, 3, 5, 9), **given))


NARROW = ("float16", "float64")
MOSTLY = ("float32", "float32", "float32", *NARROW)
"""The dtypes of a rule that takes one of them."""
ORT: Mapping[str, Entry] = {
    "softmax_inner_axis": Entry(spell=inner_softmax),
    "softmax_short_axis": Entry(spell=short_softmax, dtypes=MOSTLY, declined=NARROW),
    "broadcast_column": Entry(spell=column),
    "lengthen_rows": Entry(spell=short_rows),
    "vector_softplus": Entry(spell=large("Softplus", 512), dtypes=MOSTLY, declined=NARROW),
    "vector_mish": Entry(spell=large("Mish", 512), dtypes=MOSTLY, declined=NARROW),
    "vector_elu": Entry(spell=large("Elu", 4096, alpha=(0.25, 1.0, 2.0)), dtypes=MOSTLY, declined=NARROW),
    "vector_selu": Entry(spell=large("Selu", 4096, alpha=(0.25, 2.0), gamma=(1.0, 0.5)), dtypes=MOSTLY, declined=NARROW),
    "vector_prelu": Entry(spell=large_prelu, dtypes=MOSTLY, declined=NARROW),
    "vector_pow": Entry(spell=power, dtypes=MOSTLY, declined=NARROW),
    "lrn_pool": Entry(spell=local_response, dtypes=("float32",)),  # onnx's own LRN, for the others, takes batches for channels
}
