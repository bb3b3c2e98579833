"""Activations: as LiteRT has them, and in simpler operators where it has them otherwise or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from .elementwise import joined, scaled, shifted
from .integers.weights import clamped
from .node import FLOAT, Converter, TfliteNode
from .records import Tensor


def _prelu(node: TfliteNode) -> None:
    """max(x, 0) + slope · min(x, 0); as PRELU where the slope is one for each channel that is stored last."""
    x, slope = node.beside(0, node.order), node.beside(1, node.order)
    per_channel = slope.data is not None and slope.rank == x.rank == 4 and slope.shape[:-1] == (1, 1, 1)
    if per_channel and x.dtype == FLOAT:
        node.write(node.emit("PRELU", [x, node.reshape(slope, slope.shape[1:])]))
        return
    below = joined(node, "MUL", _negative_part(node, x), slope)
    node.write(joined(node, "ADD", node.emit("RELU", [x]), below))


def _negative_part(node: TfliteNode, x: Tensor) -> Tensor:
    return joined(node, "MINIMUM", x, node.like(0, x))


def _leaky_relu(node: TfliteNode) -> None:
    node.write(node.emit("LEAKY_RELU", [node.read(0)], alpha=node.attribute("alpha", 0.01)))


def _elu(node: TfliteNode) -> None:
    _exponential(node, node.attribute("alpha", 1.0), 1.0, 1.0)


def _celu(node: TfliteNode) -> None:
    alpha = node.attribute("alpha", 1.0)
    _exponential(node, alpha, 1.0, alpha)


def _selu(node: TfliteNode) -> None:
    """The defaults are ONNX's."""
    alpha, gamma = node.attribute("alpha", 1.6732632423543772), node.attribute("gamma", 1.0507009873554804)
    _exponential(node, alpha * gamma, gamma, 1.0)


def _exponential(node: TfliteNode, below: float, above: float, stretch: float) -> None:
    """above · max(x, 0) + below · (exp(min(x, 0) / stretch) - 1). LiteRT's ELU has no factors of its own."""
    x = node.read(0)
    if below == above == stretch == 1:
        node.write(node.emit("ELU", [x]))
        return
    low = node.emit("ELU", [scaled(node, _negative_part(node, x), 1 / stretch)])
    node.write(joined(node, "ADD", scaled(node, node.emit("RELU", [x]), above), scaled(node, low, below)))


def _hard_sigmoid(node: TfliteNode) -> None:
    x = scaled(node, node.read(0), node.attribute("alpha", 0.2))
    node.write(node.emit("RELU_0_TO_1", [shifted(node, x, node.attribute("beta", 0.5))]))


def _softplus(node: TfliteNode) -> None:
    """log(1 + exp(x)) = max(x, 0) + log1p(e), e = exp(-|x|), which does not overflow. log1p(e) = e · log(u) / (u - 1) with u = 1 + e, which
    does not lose a small e (W. Kahan; HP-15C Advanced Functions Handbook, appendix)."""
    x = node.read(0)
    e = node.emit("EXP", [node.emit("NEG", [node.emit("ABS", [x])])])
    u = shifted(node, e, 1)
    above = shifted(node, u, -1)
    nothing = joined(node, "EQUAL", above, node.like(0, above), "bool")
    divisor = node.emit("SELECT_V2", [nothing, node.like(1, above), above], above.shape, dtype=x.dtype)
    slope = node.emit(
        "SELECT_V2", [nothing, node.like(1, above), joined(node, "DIV", node.emit("LOG", [u]), divisor)], x.shape, dtype=x.dtype
    )
    node.write(joined(node, "ADD", node.emit("RELU", [x]), joined(node, "MUL", e, slope)))


MISH_IS_LINEAR = 20.0
"""From here on tanh(log(1 + exp(x))) is 1 in float32, and exp(x)^2 is far from infinite."""


def _mish(node: TfliteNode) -> None:
    """x · tanh(log(1 + exp(x))) = x · n / (n + 2) with n = w · (w + 2), w = exp(x)."""
    x = node.read(0)
    w = node.emit("EXP", [joined(node, "MINIMUM", x, node.like(MISH_IS_LINEAR, x))])
    n = joined(node, "MUL", w, shifted(node, w, 2))
    node.write(joined(node, "MUL", x, joined(node, "DIV", n, shifted(node, n, 2))))


def _softsign(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "DIV", x, shifted(node, node.emit("ABS", [x]), 1)))


def _swish(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "MUL", x, node.emit("LOGISTIC", [scaled(node, x, node.attribute("alpha", 1.0))])))


def _hard_swish(node: TfliteNode) -> None:
    node.write(node.emit("HARD_SWISH", [node.read(0)]))


def _thresholded(node: TfliteNode) -> None:
    x = node.read(0)
    above = joined(node, "GREATER", x, node.like(node.attribute("alpha", 1.0), x), "bool")
    node.write(node.emit("SELECT_V2", [above, x, node.like(0, x)], x.shape, dtype=x.dtype))


def _gelu(node: TfliteNode) -> None:
    node.write(node.emit("GELU", [node.read(0)], approximate=node.attribute("approximate", "none") == "tanh"))


def _erf(node: TfliteNode) -> None:
    raise node.refuse("LiteRT has no Erf outside GELU")


def _relu(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(node.emit("RELU", [x]) if x.scales is None else clamped(node, x, 0.0, None))


def _clip(node: TfliteNode) -> None:
    x = node.read(0)
    bounds = [node.constant(k).item() if node.is_constant(k) else None for k in (1, 2)]
    if x.scales is not None:
        if any(node.has(k) and not node.is_constant(k) for k in (1, 2)):
            raise node.refuse("limits that are computed are not converted in integers")
        node.write(clamped(node, x, *bounds))
        return
    if x.dtype == FLOAT and bounds in ([0.0, 6.0], [0.0, 1.0]):
        node.write(node.emit("RELU6" if bounds[1] == 6 else "RELU_0_TO_1", [x]))
        return
    for index, code in ((1, "MAXIMUM"), (2, "MINIMUM")):
        if node.has(index):
            x = joined(node, code, x, node.read(index, ()))
    node.write(x)


ACTIVATIONS: Mapping[str, Converter] = {
    "Celu": _celu,
    "Clip": _clip,
    "Elu": _elu,
    "Erf": _erf,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Mish": _mish,
    "PRelu": _prelu,
    "Relu": _relu,
    "Selu": _selu,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded,
}
