"""Kernels that search, sort, pick, scatter and rearrange, and functions that few networks have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .dense import of_axes
from .kernel_model import Array, KernelModel, Step, axes, scalar, weights

SORTED = (
    ((256, 256), 16, -1),
    ((512, 128), 8, -1),
    ((64, 1024), 10, -1),
    ((100, 1000), 5, -1),
    ((8, 8400), 100, -1),
    ((1, 80, 1000), 1, 1),
)
"""Shape, how many of an axis. Of fewer elements a processor learns the branches by heart, which it does not in a network."""
CURVES = (
    "Tan", "Asin", "Atan", "Sinh", "Cosh", "Acos", "Asinh", "Atanh", "Celu", "Round", "Ceil", "ThresholdedRelu", "Shrink", "IsNaN",
    "Hardmax", "LogSoftmax",
)  # fmt: skip
COMPARED = ("Greater", "GreaterOrEqual", "LessOrEqual", "Equal")
TURNED: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((1, 64, 4, 32), (0, 2, 1, 3)),
    ((1, 8, 256, 64), (0, 2, 1, 3)),
    ((8, 50, 64), (1, 0, 2)),
    ((64, 128), (1, 0)),
)
SHAPE = (1, 128, 384)


def rare() -> Iterator[KernelModel]:
    """All of them."""
    for operator in CURVES:
        yield _one(operator, SHAPE)
    for operator in COMPARED:
        inputs = {name: ("float32", SHAPE) for name in ("x", "z")}
        yield KernelModel(f"{operator} of two {_spelled(SHAPE)}", [Step(operator, ("x", "z"))], inputs)
    for operator in ("And", "Or", "Xor"):
        yield KernelModel(f"{operator} 1x128x128", [Step(operator, ("x", "z"))], {name: ("bool", (1, 128, 128)) for name in ("x", "z")})
    yield KernelModel("Not 1x128x128", [Step("Not", ("x",))], {"x": ("bool", (1, 128, 128))})
    yield from _sorted()
    yield from _rearranged()
    yield from _picked()
    yield from _reduced()
    yield from _sampled()


def _spelled(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _one(operator: str, shape: tuple[int, ...], constants: dict[str, Array] | None = None, **attributes: Any) -> KernelModel:
    """An operator of one tensor, and constants."""
    words = " ".join(f"{name} {value}" for name, value in attributes.items() if not isinstance(value, list))
    name = " ".join(filter(None, (operator, _spelled(shape), words)))
    return KernelModel(
        name, [Step(operator, ("x", *(constants or ())), attributes=attributes)], {"x": ("float32", shape)}, dict(constants or {})
    )


def _sorted() -> Iterator[KernelModel]:
    for shape, count, axis in SORTED:
        step = Step("TopK", ("x", "k"), ("y", "z"), {"axis": axis})
        name = f"TopK {count} of {_spelled(shape)} axis {axis}"
        yield KernelModel(name, [step], {"x": ("float32", shape)}, {"k": axes(count)}, outputs=("y", "z"))
    yield KernelModel("Einsum 8x64x32", [Step("Einsum", ("x", "z"), attributes={"equation": "bij,bjk->bik"})], {
        "x": ("float32", (8, 64, 32)), "z": ("float32", (8, 32, 64)),
    })  # fmt: skip
    yield KernelModel("Einsum heads", [Step("Einsum", ("x", "z"), attributes={"equation": "bihd,bjhd->bhij"})], {
        "x": ("float32", (1, 64, 4, 32)), "z": ("float32", (1, 64, 4, 32)),
    })  # fmt: skip


def _rearranged() -> Iterator[KernelModel]:
    for shape in ((1, 16, 64, 64), (1, 64, 32, 32), (1, 128, 14, 14)):
        for mode in ("DCR", "CRD"):
            yield _one("DepthToSpace", shape, blocksize=2, mode=mode)
        yield _one("SpaceToDepth", shape, blocksize=2)
    for turned, order in TURNED:
        yield KernelModel(f"Transpose {_spelled(turned)} to {order}", [Step("Transpose", ("x",), attributes={"perm": list(order)})], {
            "x": ("float32", turned),
        })  # fmt: skip
    for mode in ("reflect", "edge"):
        yield _one("Pad", (1, 32, 64, 64), {"p": axes(0, 0, 1, 1, 0, 0, 1, 1)}, mode=mode)
    yield _one("Trilu", (4, 64, 64))
    inputs = {"x": ("float32", (32, 8, 64))}
    yield KernelModel("ReverseSequence 32x8x64", [Step("ReverseSequence", ("x", "l"))], inputs, {"l": axes(*([32] * 8))})


def _picked() -> Iterator[KernelModel]:
    rows = {"x": ("float32", (512, 64))}
    yield KernelModel("GatherND 128 of 512x64", [Step("GatherND", ("x", "i"))], rows, {"i": _rows(128, 512)})
    yield KernelModel("Gather 128 of 512x64", [Step("Gather", ("x", "i"))], rows, {"i": _rows(128, 512)[:, 0]})
    yield KernelModel("Gather columns of 512x64", [Step("Gather", ("x", "i"), attributes={"axis": 1})], rows, {"i": _rows(32, 64)[:, 0]})
    updates = {**rows, "u": ("float32", (128, 64))}
    yield KernelModel("ScatterND 128 of 512x64", [Step("ScatterND", ("x", "i", "u"))], updates, {"i": _rows(128, 512)})
    same = {**rows, "i": ("int64", (512, 16))}
    yield KernelModel("GatherElements 512x16", [Step("GatherElements", ("x", "i"), attributes={"axis": 1})], same)
    constants = {"i": _rows(512, 64).repeat(16, axis=1)}
    inputs = {**rows, "u": ("float32", (512, 16))}
    yield KernelModel("ScatterElements 512x16", [Step("ScatterElements", ("x", "i", "u"), attributes={"axis": 1})], inputs, constants)
    yield KernelModel("OneHot 256 of 100", [Step("OneHot", ("i", "d", "v"))], {"i": ("int64", (256,))}, {
        "d": scalar(100, "int64"), "v": weights(2),
    })  # fmt: skip
    for shape in ((1, 64, 64), (4, 196, 196)):
        kinds = {"c": ("bool", shape), "x": ("float32", shape), "z": ("float32", shape)}
        yield KernelModel(f"Where of two {_spelled(shape)}", [Step("Where", ("c", "x", "z"))], kinds)


def _rows(count: int, of: int) -> Array:
    """[count, 1]: numbers below `of`, in no order."""
    import numpy

    return numpy.random.default_rng(0).integers(0, of, (count, 1)).astype(numpy.int64)


def _reduced() -> Iterator[KernelModel]:
    for operator in ("ReduceMean", "ReduceSum", "ReduceMax"):
        yield of_axes(f"{operator} 1x48x64x64 channels", operator, (1, 48, 64, 64), 1)
        yield of_axes(f"{operator} 1x128x32x32 channels", operator, (1, 128, 32, 32), 1)
    for operator in ("ReduceSumSquare", "ReduceL1", "ReduceProd", "ReduceMin", "ReduceLogSumExp"):
        yield of_axes(f"{operator} 1x128x384 last", operator, (1, 128, 384), -1)
    for shape in ((1, 64, 28, 28), (8, 64, 196)):
        yield _one("Softmax", shape, axis=1)
    yield _one("ArgMax", (1, 64, 256), axis=-1)
    for shape in ((1, 4096, 16), (64, 64, 16), (1, 3136, 24), (1, 1024, 8)):
        constants = {"w": weights(shape[-1]), "b": weights(shape[-1])}
        yield KernelModel(f"LayerNormalization of {_spelled(shape)}", [Step("LayerNormalization", ("x", "w", "b"))], {
            "x": ("float32", shape),
        }, constants)  # fmt: skip
    yield _one("LpNormalization", (1, 128, 384), axis=-1, p=2)
    yield _one("MeanVarianceNormalization", (1, 32, 28, 28), axes=[0, 2, 3])


def _sampled() -> Iterator[KernelModel]:
    for mode, shape in (("linear", (1, 64, 16, 16)), ("linear", (1, 128, 8, 8)), ("cubic", (1, 16, 28, 28)), ("nearest", (1, 128, 28, 28))):
        name, step = f"Resize {mode} {_spelled(shape)}", Step("Resize", ("x", "", "s"), attributes={"mode": mode})
        yield KernelModel(name, [step], {"x": ("float32", shape)}, {"s": (weights(4) * 0 + [1, 1, 2, 2]).astype("float32")})
    inputs = {"x": ("float32", (1, 16, 32, 32)), "g": ("float32", (1, 32, 32, 2))}
    yield KernelModel("GridSample 16x32x32", [Step("GridSample", ("x", "g"))], inputs)
    boxes = {"x": ("float32", (1, 64, 32, 32)), "r": ("float32", (16, 4))}
    step = Step("RoiAlign", ("x", "r", "i"), attributes={"output_height": 7, "output_width": 7, "sampling_ratio": 2})
    yield KernelModel("RoiAlign 16 of 64x32x32", [step], boxes, {"i": axes(*([0] * 16))})
    for operator in ("MaxPool", "AveragePool"):
        yield _one(operator, (1, 32, 400), kernel_shape=[2], strides=[2])
        yield _one(operator, (1, 128, 100), kernel_shape=[3], strides=[1])
        yield _one(operator, (1, 32, 8, 28, 28), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
        yield _one(operator, (1, 50, 20, 20), kernel_shape=[2, 2], strides=[2, 2])
    yield _one("LpPool", (1, 32, 28, 28), kernel_shape=[2, 2], strides=[2, 2])
    yield _one("GlobalAveragePool", (1, 64, 4, 14, 14))
