"""Transformers and mixers on images: vit, deit, clip's, swin, mlp-mixer, poolformer, segformer, mobilevit, detr, convmixer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet
from .residual import basic


def vit(name: str, layers: int, width: int, heads: int, size: int, patch: int, opset: int = 17, act: str = "gelu", tokens: int = 1,
        fused: bool = True) -> onnx.ModelProto:  # fmt: skip
    """tokens: class tokens in front; two (deit's) have a head each, averaged."""
    net = TokenNet(name, opset, "operator" if opset >= 17 else "parts", act, 1e-6)
    x = net.patches(net.input("pixel_values", (1, 3, size, size)), width, patch)
    x = net.concat(net.normal((1, tokens, width), 0.5), x, axis=1)
    x = net.op("Add", x, net.normal(x.shape, 0.1))
    for _ in range(layers):
        y = net.layer_norm(x)
        x = net.op("Add", x, net.fused_attention(y, heads) if fused else net.attention(y, heads))
        x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * width))
    x = net.layer_norm(x)
    found = [net.linear(net.gather(x, net.constant(np.array(k)), axis=1), 1000) for k in range(tokens)]
    y = found[0] if tokens == 1 else net.op("Div", net.op("Add", *found), net.number(2.0))
    return net.model(y, names=("logits",))


def swin(name: str, depths: Sequence[int], width: int, size: int, window: int) -> onnx.ModelProto:
    """Attention inside windows, every second time on a shifted image (Slice and Concat), patches merged by strided Slices."""
    net = TokenNet(name, 16, "parts")
    x = net.layer_norm(net.patches(net.input("x", (1, 3, size, size)), width, 4))
    side = size // 4
    for stage, depth in enumerate(depths):
        if stage:
            x, side = _merged(net, x, side), side // 2
        for k in range(depth):
            x = net.op("Add", x, _windows(net, net.layer_norm(x), side, window, window // 2 if k % 2 and side > window else 0))
            x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * x.shape[-1]))
    y = net.global_pool(net.transpose(net.layer_norm(x), 0, 2, 1))
    return net.model(net.linear(net.op("Flatten", y, shape=y.shape[:2], axis=1), 1000))


def _rolled(net: TokenNet, x: Tensor, shift: int) -> Tensor:
    for axis in (1, 2):
        x = net.concat(net.slice(x, axis, shift, 2**63 - 1), net.slice(x, axis, 0, shift), axis=axis)
    return x


def _windows(net: TokenNet, x: Tensor, side: int, window: int, shift: int) -> Tensor:
    width, count = x.shape[-1], side // window
    heads = width // 32
    y = net.reshape(x, [1, side, side, width])
    y = _rolled(net, y, shift) if shift else y
    y = net.transpose(net.reshape(y, [1, count, window, count, window, width]), 0, 1, 3, 2, 4, 5)
    y = net.dense(net.reshape(y, [-1, window * window, width]), 3 * width)
    parts = net.transpose(net.reshape(y, [count * count, window * window, 3, heads, 32]), 2, 0, 3, 1, 4)
    q, k, v = (net.gather(parts, net.constant(np.array(part))) for part in range(3))
    scores = net.matmul(net.op("Mul", q, net.number(32**-0.5)), net.transpose(k, 0, 1, 3, 2))
    scores = net.op("Add", scores, net.normal((1, heads, window**2, window**2), 0.3))
    if shift:
        hidden = np.where(net.generator.random((count * count, 1, window**2, window**2)) < 0.2, -100.0, 0.0).astype(np.float32)
        scores = net.op("Add", scores, net.constant(hidden))
    y = net.dense(net.joined(net.matmul(net.op("Softmax", scores, axis=-1), v)), width, gain=BRANCH)
    y = net.transpose(net.reshape(y, [1, count, count, window, window, width]), 0, 1, 3, 2, 4, 5)
    y = net.reshape(y, [1, side, side, width])
    y = _rolled(net, y, side - shift) if shift else y
    return net.reshape(y, [1, side * side, width])


def _merged(net: TokenNet, x: Tensor, side: int) -> Tensor:
    width, far = x.shape[-1], 2**63 - 1
    y = net.reshape(x, [1, side, side, width])
    parts = [net.slice(net.slice(y, 1, row, far, 2), 2, column, far, 2) for column in (0, 1) for row in (0, 1)]
    y = net.reshape(net.concat(*parts, axis=3), [1, side * side // 4, 4 * width])
    return net.dense(net.layer_norm(y), 2 * width, bias=False)


def mixer(name: str, layers: int, width: int, size: int, patch: int) -> onnx.ModelProto:
    net = TokenNet(name, 17)
    x = net.patches(net.input("image", (1, 3, size, size)), width, patch)
    for _ in range(layers):
        y = net.transpose(net.layer_norm(x), 0, 2, 1)
        x = net.op("Add", x, net.transpose(net.feed_forward(y, width // 2), 0, 2, 1))
        x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * width))
    return net.model(net.linear(net.mean(net.layer_norm(x), [1], keep=False), 1000))


def poolformer(name: str, depths: Sequence[int], widths: Sequence[int], size: int) -> onnx.ModelProto:
    """AveragePool minus the input as the mixer, GroupNorm of one group (Reshape, InstanceNormalization), layer scales."""
    net = TokenNet(name, 17)
    x = net.input("x", (1, 3, size, size))
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        x = net.conv(x, width, 7 if stage == 0 else 3, 4 if stage == 0 else 2, pads=[2] * 4 if stage == 0 else None, gain=0.7)
        for _ in range(depth):
            y = _one_group(net, x)
            mixed = net.op("Sub", net.pool(y, 3, 1, "AveragePool", pad=1), y)
            x = net.op("Add", x, net.op("Mul", mixed, net.uniform((width, 1, 1), 0.2, 0.6)))
            y = net.conv(net.gelu(net.conv(_one_group(net, x), 4 * width)), width, gain=BRANCH)
            x = net.op("Add", x, net.op("Mul", y, net.uniform((width, 1, 1), 0.2, 0.6)))
    return net.model(net.linear(net.mean(_one_group(net, x), [2, 3], keep=False), 1000))


def _one_group(net: TokenNet, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    flat = net.reshape(x, [n, 1, -1])
    y = net.op("InstanceNormalization", flat, net.constant(np.ones(1, np.float32)),
               net.constant(np.zeros(1, np.float32)), shape=flat.shape, epsilon=1e-5)  # fmt: skip
    y = net.op("Reshape", y, net.constant([n, c, h, w]), shape=x.shape)
    return net.op("Add", net.op("Mul", y, net.uniform((c, 1, 1), 0.8, 1.2)), net.normal((c, 1, 1), 0.05))


def segformer(name: str, depths: Sequence[int], widths: Sequence[int], size: int, classes: int) -> onnx.ModelProto:
    """Attention to a plane made smaller by a strided Conv, depthwise Conv inside the feed-forward, all scales joined at the end."""
    net = TokenNet(name, 17, epsilon=1e-6)
    x, side, planes = net.input("pixel_values", (1, 3, size, size)), size, []
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        x = net.conv(x, width, 7 if stage == 0 else 3, 4 if stage == 0 else 2, gain=0.7)
        side, shrink = side // (4 if stage == 0 else 2), 8 >> stage
        y = net.layer_norm(net.tokens(x))
        for _ in range(depth):
            y = net.op("Add", y, _reduced(net, net.layer_norm(y), side, shrink, 1 << stage))
            inner = net.tokens(net.conv(net.plane(net.dense(net.layer_norm(y), 4 * width), side, side), 4 * width, 3, group=4 * width))
            y = net.op("Add", y, net.dense(net.gelu(inner), width, gain=BRANCH))
        x = net.plane(net.layer_norm(y), side, side)
        planes.append((x, 1 << stage))
    wide = [net.plane(net.dense(net.tokens(x), 128), *x.shape[2:]) for x, _ in planes]
    wide = [net.resize(x, scale, "linear") if scale > 1 else x for x, (_, scale) in zip(wide, planes, strict=True)]
    x = net.cba(net.concat(*reversed(wide), axis=1), 128, act="relu")
    return net.model(net.conv(x, classes), names=("logits",))


def _reduced(net: TokenNet, x: Tensor, side: int, shrink: int, heads: int) -> Tensor:
    width, source = x.shape[-1], x
    if shrink > 1:
        source = net.layer_norm(net.tokens(net.conv(net.plane(x, side, side), width, shrink, shrink, pads=[0] * 4, gain=0.7)))
    return net.attention(x, heads, memory=source)


def mobilevit(name: str, size: int, widths: Sequence[int] = (48, 64, 80)) -> onnx.ModelProto:
    """Inverted residuals; then blocks that unfold a plane into sequences of pixels, attend along them, and fold back."""
    net = TokenNet(name, 17, act="silu")
    x = net.cba(net.input("x", (1, 3, size, size)), 16, 3, 2)
    for out, stride in ((32, 1), (48, 2), (48, 1)):
        x = _inverted(net, x, out, stride)
    for width, depth in zip(widths, (2, 4, 3), strict=True):
        x = _inverted(net, x, width, 2)
        y = net.conv(net.cba(x, width, 3), 2 * width, bias=False, gain=0.7)
        y = _along_pixels(net, y, depth)
        x = net.cba(net.concat(x, net.cba(y, width), axis=1), width, 3)
    return net.model(net.classify(net.cba(x, 320)))


def _inverted(net: TokenNet, x: Tensor, out: int, stride: int) -> Tensor:
    y = net.cba(net.depthwise(net.cba(x, 4 * x.shape[1]), 3, stride), out, act="", gain=BRANCH if stride == 1 else 0.7)
    return net.op("Add", x, y) if y.shape == x.shape else y


def _along_pixels(net: TokenNet, x: Tensor, depth: int) -> Tensor:
    _, c, h, w = x.shape
    y = net.transpose(net.reshape(x, [c * h // 2, 2, w // 2, 2]), 0, 2, 1, 3)
    y = net.transpose(net.reshape(y, [1, c, h * w // 4, 4]), 0, 3, 2, 1)
    y = net.reshape(y, [4, h * w // 4, c])
    for _ in range(depth):
        y = net.encoder_layer(y, 4, 2 * c)
    y = net.transpose(net.reshape(net.layer_norm(y), [1, 4, h * w // 4, c]), 0, 3, 2, 1)
    y = net.transpose(net.reshape(y, [c * h // 2, w // 2, 2, 2]), 0, 2, 1, 3)
    return net.reshape(y, [1, c, h, w])


def detr(name: str, size: int, width: int, queries: int) -> onnx.ModelProto:
    """A small residual backbone, an encoder on its plane, a decoder from learned queries, heads for classes and boxes."""
    net = TokenNet(name, 17, act="relu")
    x = net.pool(net.cba(net.input("pixel_values", (1, 3, size, size)), 32, 7, 2), 3, 2, pad=1)
    for stage in range(4):
        x = basic(net, basic(net, x, 32 << stage, 2 if stage else 1), 32 << stage, 1)
    x = net.tokens(net.conv(x, width, gain=0.7))
    places, asked = net.normal(x.shape, 0.3), net.normal((1, queries, width), 0.5)
    for _ in range(3):
        x = net.layer_norm(net.op("Add", x, net.attention(net.op("Add", x, places), 8)))
        x = net.layer_norm(net.op("Add", x, net.feed_forward(x, 4 * width)))
    y = asked
    for _ in range(3):
        y = net.layer_norm(net.op("Add", y, net.attention(net.op("Add", y, asked), 8)))
        y = net.layer_norm(net.op("Add", y, net.attention(y, 8, memory=net.op("Add", x, places))))
        y = net.layer_norm(net.op("Add", y, net.feed_forward(y, 4 * width)))
    boxes = net.op("Sigmoid", net.dense(net.op("Relu", net.dense(net.op("Relu", net.dense(y, width)), width)), 4))
    return net.model(net.dense(y, 92), boxes, names=("logits", "pred_boxes"))


def convmixer(name: str, layers: int, width: int, size: int, patch: int) -> onnx.ModelProto:
    """Depthwise 9x9 with a shortcut, then 1x1; activation before normalisation."""
    net = TokenNet(name, 17)
    x = net.batch_norm(net.gelu(net.conv(net.input("x", (1, 3, size, size)), width, patch, patch, pads=[0] * 4)))
    for _ in range(layers):
        x = net.op("Add", net.batch_norm(net.gelu(net.conv(x, width, 9, group=width, gain=0.7))), x)
        x = net.batch_norm(net.gelu(net.conv(x, width)))
    return net.model(net.classify(x, 10))
