"""What exporters scatter, for every rule that recovers an operator from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from autoglmc.passes.library import named

from .entry import Entry
from .formula import spell
from .sketch import Sketch

NO_DOUBLE = ("float64",)


def formula(name: str, layout: str = "any") -> Callable[[Sketch], str]:
    def spelling(s: Sketch) -> str:
        return spell(s, named(name).pattern, layout, hard=not name.startswith("recover_hardsigmoid"))

    return spelling


def logsoftmax(s: Sketch) -> str:
    shape = s.shape(1, 5)
    axis = {"axis": s.integer(-len(shape), len(shape) - 1)} if s.flip() else {}
    return str(s.op("Log", s.op("Softmax", s.input(shape, free=range(len(shape))), **axis)))


def softmax_written_out(s: Sketch) -> str:
    x, axis = _along(s)
    powers = s.op("Exp", x)
    return str(s.op("Div", powers, s.op("ReduceSum", powers, s.ints(axis), keepdims=1)))


def shifted_softmax(s: Sketch) -> str:
    x, axis = _along(s)
    return str(s.op("Softmax", s.op("Sub", x, s.op("ReduceMax", x, s.ints(axis), keepdims=1)), axis=axis))


def _along(s: Sketch) -> tuple[str, int]:
    shape = s.shape(1, 5)
    return s.input(shape, free=range(len(shape))), s.integer(-len(shape), len(shape) - 1)


def groupnorm(s: Sketch) -> str:
    """Scale and bias with every axis, or without the batch."""
    groups, each, spatial = s.integer(1, 3), s.integer(1, 3), s.shape(1, 3, 2)
    shape = (s.integer(1, 2), groups * each, *spatial)
    ones = s.constant(np.ones(groups, s.dtype)), s.constant(np.zeros(groups, s.dtype))
    split = s.op("Reshape", s.input(shape), s.ints(s.pick(0, shape[0]), groups, -1))
    norm = s.op("InstanceNormalization", s.once(split), *ones, **({"epsilon": 1e-3} if s.flip() else {}))
    back = s.op("Reshape", s.once(norm), s.ints(*shape))
    column = (*[1] * s.integer(0, 1), shape[1], *[1] * len(spatial))
    product = s.op("Mul", *shuffled(s, s.once(back), s.floats(column)))
    return str(s.op("Add", *shuffled(s, s.once(product), s.floats(column))))


def shuffled(s: Sketch, left: str, right: str) -> tuple[str, str]:
    return (right, left) if s.flip() else (left, right)


def contrib(s: Sketch) -> str:
    kind = s.pick("Gelu", "BiasGelu", "FastGelu")
    shape = s.shape(1, 4)
    bias = kind == "BiasGelu" or (kind == "FastGelu" and s.flip())
    operands = [s.input(shape), *([s.floats(shape[-1:])] if bias else [])]
    return s.typed(s.op(kind, *operands, domain="com.microsoft"), shape)


def quickgelu(s: Sketch) -> str:
    shape = s.shape(1, 4)
    return s.typed(s.op("QuickGelu", s.input(shape), domain="com.microsoft", **({"alpha": 1.25} if s.flip() else {})), shape)


def skipped(kind: str) -> Callable[[Sketch], list[str]]:
    """A skipping normalisation of one or all of its outputs; the second operand may broadcast."""

    def spell(s: Sketch) -> list[str]:
        shape = s.shape(2, 3, 2, 4)
        width = shape[-1:]
        like = shape if len(shape) == 2 else s.pick(shape, shape[1:], (1, *shape[1:]))  # what onnxruntime's kernel broadcasts
        operands = [s.input(shape), s.input(like)]
        operands += [s.floats(width) for _ in range(s.integer(1, 2) if kind == "SkipLayerNormalization" else 1)]
        if s.flip():
            operands += [""] * ((4 if kind == "SkipLayerNormalization" else 3) - len(operands)) + [s.floats(width)]
        given = {"epsilon": s.pick(1e-5, 0.125)} if s.flip() else {}
        first, *rest = s.op(kind, *operands, outputs=s.pick(1, 4), domain="com.microsoft", **given)
        s.hidden.update(rest[:2])
        return [s.typed(first, shape), *(s.typed(name, shape) for name in rest[2:])]

    return spell


RECOVER: Mapping[str, Entry] = {
    "recover_layernorm": Entry(spell=formula("recover_layernorm", "last"), declined=NO_DOUBLE, roundings=64),
    "recover_instancenorm": Entry(spell=formula("recover_instancenorm", "channels"), declined=NO_DOUBLE, roundings=64),
    "recover_rmsnorm": Entry(spell=formula("recover_rmsnorm", "last"), declined=NO_DOUBLE),
    "recover_lpnorm": Entry(spell=formula("recover_lpnorm", "one")),
    "recover_gelu": Entry(spell=formula("recover_gelu"), declined=NO_DOUBLE),
    "recover_gelu_tanh": Entry(spell=formula("recover_gelu_tanh"), single=True),
    "recover_swish": Entry(spell=formula("recover_swish"), single=True),
    "recover_hardswish": Entry(spell=formula("recover_hardswish"), declined=NO_DOUBLE),
    "recover_hardsigmoid": Entry(spell=formula("recover_hardsigmoid"), declined=NO_DOUBLE),
    "recover_hardsigmoid_fifth": Entry(spell=formula("recover_hardsigmoid_fifth"), declined=NO_DOUBLE),
    "recover_mish": Entry(spell=formula("recover_mish"), declined=NO_DOUBLE),
    "recover_softplus": Entry(spell=formula("recover_softplus"), declined=NO_DOUBLE),
    "recover_softmax": Entry(spell=softmax_written_out),
    "recover_shifted_softmax": Entry(spell=shifted_softmax),
    "recover_logsoftmax": Entry(spell=logsoftmax),
    "recover_prelu": Entry(spell=formula("recover_prelu", "weights"), declined=NO_DOUBLE),
    "recover_leakyrelu": Entry(spell=formula("recover_leakyrelu"), declined=NO_DOUBLE),
    "recover_groupnorm": Entry(spell=groupnorm, declined=NO_DOUBLE),
    "recover_contrib_gelu": Entry(spell=contrib, dtypes=("float16", "float32")),
    "recover_quickgelu": Entry(spell=quickgelu, dtypes=("float16", "float32")),
    "recover_skip_layernorm": Entry(spell=skipped("SkipLayerNormalization"), dtypes=("float16", "float32"), roundings=64),
    "recover_skip_rmsnorm": Entry(spell=skipped("SkipSimplifiedLayerNormalization"), dtypes=("float16", "float32"), roundings=64),
}
