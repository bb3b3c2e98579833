"""From an image to an image, a plane of classes, or boxes: unet, deeplab, yolo, ssd, super resolution, style, autoencoders, depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from .mobile import inverted
from .residual import BRANCH, basic, stem


def unet(name: str, size: int, width: int, levels: int, transposed: bool) -> onnx.ModelProto:
    """transposed: up by ConvTranspose, else by bilinear Resize and a convolution."""
    net, kept = ImageNet(name), []
    x = net.input("image", (1, 3, size, size))
    for level in range(levels):
        x = net.cba(net.cba(x, width << level, 3), width << level, 3)
        if level < levels - 1:
            kept.append(x)
            x = net.pool(x, 2, 2)
    for skip in reversed(kept):
        out = skip.shape[1]
        up = net.conv_transpose(x, out, 2, 2) if transposed else net.conv(net.resize(x, 2, "linear"), out)
        x = net.cba(net.cba(net.concat(skip, up, axis=1), out, 3), out, 3)
    return net.model(net.op("Sigmoid", net.conv(x, 1)), names=("mask",))


def deeplab(name: str, size: int, classes: int) -> onnx.ModelProto:
    """Residual backbone whose last stage is dilated, parallel dilated 3x3 (6, 12, 18) and a pooled branch, Resize by 8."""
    net = ImageNet(name)
    x = stem(net, size, width=32)
    for out, stride in ((32, 1), (64, 2), (128, 1)):
        x = basic(net, x, out, stride)
    for _ in range(2):
        y = net.cba(net.cba(x, 128, 3, dilation=2), 128, 3, dilation=2, act="", gain=BRANCH)
        x = net.op("Relu", net.op("Add", x, y))
    pooled = net.cba(net.global_pool(x), 96)
    pooled = net.op("Expand", pooled, net.constant([1, 96, *x.shape[2:]]), shape=(1, 96, *x.shape[2:]))
    x = net.cba(net.concat(net.cba(x, 96), *(net.cba(x, 96, 3, dilation=d) for d in (6, 12, 18)), pooled, axis=1), 96)
    return net.model(net.resize(net.conv(net.cba(x, 96, 3), classes), 8, "linear"), names=("classes",))


def yolo(name: str, size: int, width: int, act: str, classes: int = 20) -> onnx.ModelProto:
    """YOLOv5: cross-stage blocks, pooled pyramid (SPPF), a path down and one up, three heads decoded against anchors."""
    net = ImageNet(name, act=act)
    x, scales = net.cba(net.cba(net.input("images", (1, 3, size, size)), width, 6, 2, pads=[2] * 4), 2 * width, 3, 2), []
    for level, depth in enumerate((1, 2, 2, 1)):
        x = net.cba(x, width << level + 1, 3, 2) if level else x
        x = _cross_stage(net, x, x.shape[1], depth)
        scales.append(x)
    y = [net.cba(x, x.shape[1] // 2)]
    for _ in range(3):
        y.append(net.pool(y[-1], 5, 1, pad=2))
    top = net.cba(net.cba(net.concat(*y, axis=1), x.shape[1]), x.shape[1] // 2)
    middle = _cross_stage(net, net.concat(net.resize(top, 2), scales[2], axis=1), scales[2].shape[1], 1, False)
    middle = net.cba(middle, middle.shape[1] // 2)
    low = _cross_stage(net, net.concat(net.resize(middle, 2), scales[1], axis=1), scales[1].shape[1], 1, False)
    back = _cross_stage(net, net.concat(net.cba(low, low.shape[1], 3, 2), middle, axis=1), 2 * low.shape[1], 1, False)
    last = _cross_stage(net, net.concat(net.cba(back, back.shape[1], 3, 2), top, axis=1), 2 * back.shape[1], 1, False)
    found = [_anchored(net, plane, size // plane.shape[2], classes) for plane in (low, back, last)]
    return net.model(net.concat(*found, axis=1))


def _cross_stage(net: ImageNet, x: Tensor, out: int, depth: int, residual: bool = True) -> Tensor:
    left, right = net.cba(x, out // 2), net.cba(x, out // 2)
    for _ in range(depth):
        y = net.cba(net.cba(left, out // 2), out // 2, 3, gain=BRANCH if residual else 1.0)
        left = net.op("Add", left, y) if residual else y
    return net.cba(net.concat(left, right, axis=1), out)


def _anchored(net: ImageNet, x: Tensor, stride: int, classes: int) -> Tensor:
    """[1, 3 (5 + classes), h, w] to [1, 3 h w, 5 + classes] in pixels."""
    _, _, h, w = x.shape
    each = 5 + classes
    y = net.transpose(net.reshape(net.conv(x, 3 * each), [1, 3, each, h, w]), 0, 1, 3, 4, 2)
    place, size, rest = net.split(net.op("Sigmoid", y), [2, 2, each - 4], 4)
    grid = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).astype(np.float32).reshape(1, 1, h, w, 2) - 0.5
    place = net.op("Mul", net.op("Add", net.op("Mul", place, net.number(2.0)), net.constant(grid)), net.number(float(stride)))
    size = net.op("Pow", net.op("Mul", size, net.number(2.0)), net.number(2.0))
    size = net.op("Mul", size, net.uniform((1, 3, 1, 1, 2), stride, 8 * stride))
    return net.reshape(net.concat(place, size, rest, axis=4), [1, -1, each])


def ssd(name: str, size: int, classes: int) -> onnx.ModelProto:
    """Depthwise heads on six planes of an inverted-residual backbone; boxes and Softmax over classes, no suppression."""
    net, planes = ImageNet(name, act="relu6", folded=False), []
    x = net.cba(net.input("input", (1, 3, size, size)), 32, 3, 2)
    for out, count, stride in ((16, 1, 1), (24, 2, 2), (32, 3, 2), (96, 3, 2), (160, 2, 2)):
        for k in range(count):
            x = inverted(net, x, 4 * x.shape[1], out, 3, stride if k == 0 else 1, "relu6")
        planes = [*planes, x] if out >= 96 else planes
    for out in (256, 256, 128):
        x = net.cba(net.depthwise(net.cba(x, out // 2), 3, 2), out)
        planes.append(x)
    boxes, kinds = [], []
    for x in planes:
        for found, each in ((boxes, 4), (kinds, classes)):
            y = net.transpose(net.conv(net.depthwise(x, 3), 6 * each), 0, 2, 3, 1)
            found.append(net.reshape(y, [1, -1, each]))
    scores = net.op("Softmax", net.concat(*kinds, axis=1), axis=-1)
    return net.model(scores, net.concat(*boxes, axis=1), names=("scores", "boxes"))


def shuffled_resolution(name: str, size: int, width: int, layers: int, scale: int) -> onnx.ModelProto:
    """EDSR: residual blocks at low resolution, DepthToSpace at the end, a global shortcut."""
    net = ImageNet(name)
    x = first = net.conv(net.input("low", (1, 3, size, size)), width, 3)
    for _ in range(layers):
        x = net.op("Add", net.conv(net.cba(x, width, 3), width, 3, gain=BRANCH), x)
    x = net.conv(net.op("Add", net.conv(x, width, 3, gain=0.7), first), 3 * scale**2, 3, gain=0.7)
    shape = (1, 3, size * scale, size * scale)
    return net.model(net.op("DepthToSpace", x, shape=shape, blocksize=scale, mode="CRD"), names=("high",))


def transposed_resolution(name: str, size: int, width: int, scale: int) -> onnx.ModelProto:
    """FSRCNN: few channels, PRelu, a 9x9 ConvTranspose at the end."""
    net = ImageNet(name, act="prelu")
    x = net.cba(net.cba(net.input("y", (1, 1, size, size)), width, 5), 12)
    for _ in range(4):
        x = net.cba(x, 12, 3)
    x = net.conv_transpose(net.cba(x, width), 1, 9, scale, 4)
    return net.model(x, names=("high",))


def style(name: str, size: int, width: int) -> onnx.ModelProto:
    """Reflecting Pads, InstanceNormalization, residual blocks, nearest Resize in front of the convolutions that go up."""
    net = ImageNet(name)
    x = _styled(net, net.input("input1", (1, 3, size, size)), width, 9)
    x = _styled(net, _styled(net, x, 2 * width, 3, 2), 4 * width, 3, 2)
    for _ in range(4):
        x = net.op("Add", x, _styled(net, _styled(net, x, 4 * width, 3), 4 * width, 3, act=""))
    x = _styled(net, net.resize(_styled(net, net.resize(x, 2), 2 * width, 3), 2), width, 3)
    return net.model(_reflected(net, x, 3, 9, 1), names=("output1",))


def _reflected(net: ImageNet, x: Tensor, out: int, kernel: int, stride: int) -> Tensor:
    n, c, h, w = x.shape
    edge = kernel // 2
    x = net.op("Pad", x, net.constant([0, 0, edge, edge] * 2), shape=(n, c, h + 2 * edge, w + 2 * edge), mode="reflect")
    return net.conv(x, out, kernel, stride, pads=[0] * 4)


def _styled(net: ImageNet, x: Tensor, out: int, kernel: int, stride: int = 1, act: str = "relu") -> Tensor:
    x = _reflected(net, x, out, kernel, stride)
    x = net.op("InstanceNormalization", x, net.uniform((out,), 0.5, 1.0), net.normal((out,), 0.1), shape=x.shape, epsilon=1e-5)
    return net.act(x, act)


def autoencoder(name: str, size: int, widths: Sequence[int], batch: int) -> onnx.ModelProto:
    """Strided convolutions down to a vector, ConvTranspose back; LeakyRelu, Tanh at the end."""
    net = ImageNet(name, act="leaky", folded=False)
    x = net.input("x", (batch, 3, size, size))
    for width in widths:
        x = net.cba(x, width, 4, 2, pads=[1] * 4)
    plane = x.shape
    code = net.linear(net.op("Flatten", x, shape=(batch, int(np.prod(plane[1:]))), axis=1), 128)
    x = net.reshape(net.linear(code, int(np.prod(plane[1:])), 1.4), [batch, *plane[1:]])
    for width in (*reversed(widths[:-1]), 3):
        x = net.act(net.batch_norm(net.conv_transpose(x, width, 4, 2, 1)), "leaky")
    return net.model(net.op("Tanh", x), names=("image",))


def depth(name: str, height: int, width: int) -> onnx.ModelProto:
    """FastDepth on a wide image: mobile backbone, 5x5 depthwise with nearest Resize going up, added shortcuts."""
    net, kept = ImageNet(name), []
    x = net.cba(net.input("rgb", (1, 3, height, width)), 16, 3, 2)
    for out, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        if stride == 2:
            kept.append(x)
        x = net.cba(net.depthwise(x, 3, stride), out)
    for skip in reversed(kept):
        x = net.op("Add", net.resize(net.cba(net.depthwise(x, 5), skip.shape[1]), 2), skip)
    return net.model(net.resize(net.cba(x, 1), 2, "linear"), names=("depth",))
