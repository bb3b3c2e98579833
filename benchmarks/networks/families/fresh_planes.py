"""From an image to planes, points or an image, of the first unseen set (../fresh.py): yolo tiny, erfnet, blazeface …"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from ..token_net import TokenNet
from .residual import BRANCH, bottleneck


def yolo_tiny(name: str, size: int, classes: int) -> onnx.ModelProto:
    """YOLOv3-tiny: 3x3 and MaxPool (the last of stride 1, padded behind only), two heads, as Darknet's converters write it."""
    net = ImageNet(name, opset=13, act="leaky")
    x, kept = net.input("image", (1, 3, size, size)), []
    for width in (16, 32, 64, 128, 256):
        x = net.cba(x, width, 3)
        kept.append(x)
        x = net.pool(x, 2, 2)
    x = net.cba(x, 512, 3)
    x = net.op("MaxPool", x, shape=x.shape, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_UPPER")
    x = net.cba(net.cba(x, 1024, 3), 256)
    coarse = net.conv(net.cba(x, 512, 3), 3 * (5 + classes))
    y = net.concat(net.resize(net.cba(x, 128), 2), kept[-1], axis=1)
    fine = net.conv(net.cba(y, 256, 3), 3 * (5 + classes))
    return net.model(coarse, fine, names=("coarse", "fine"))


def blazeface(name: str, size: int) -> onnx.ModelProto:
    """MediaPipe's face finder: 5x5 depthwise blocks, channels padded for the sum, a MaxPool beside each strided one."""
    net = ImageNet(name)
    x = net.cba(net.input("input", (1, 3, size, size)), 24, 5, 2)
    for out, stride in ((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1), (72, 1), (80, 1), (88, 1)):
        x = _blaze(net, x, out, stride)
    planes = [x]
    for out, stride in ((96, 2), (96, 1), (96, 1), (96, 1), (96, 1)):
        x = _blaze(net, x, out, stride)
    planes.append(x)
    scores, boxes = [], []
    for plane, count in zip(planes, (2, 6), strict=True):
        for found, each in ((scores, 1), (boxes, 16)):
            found.append(net.reshape(net.transpose(net.conv(plane, count * each), 0, 2, 3, 1), [1, -1, each]))
    return net.model(net.concat(*boxes, axis=1), net.concat(*scores, axis=1), names=("regressors", "classificators"))


def _blaze(net: ImageNet, x: Tensor, out: int, stride: int) -> Tensor:
    y = net.conv(net.conv(x, x.shape[1], 5, stride, group=x.shape[1], gain=0.7), out, gain=BRANCH)
    short = net.pool(x, 2, 2) if stride == 2 else x
    if out > x.shape[1]:
        more = [0] * 5 + [out - x.shape[1], 0, 0]
        short = net.op("Pad", short, net.constant(more), shape=(1, out, *short.shape[2:]))
    return net.op("Relu", net.op("Add", y, short))


def erfnet(name: str, height: int, width: int) -> onnx.ModelProto:
    """3x1 and 1x3 pairs, the second dilated; planes halved by a strided 3x3 beside a MaxPool; ConvTranspose up."""
    net = ImageNet(name)
    x = _halved(net, net.input("image", (1, 3, height, width)), 16)
    x = _halved(net, x, 64)
    for _ in range(5):
        x = _factored(net, x, 1)
    x = _halved(net, x, 128)
    for dilation in (2, 4, 8, 16) * 2:
        x = _factored(net, x, dilation)
    for out in (64, 16):
        x = net.op("Relu", net.conv_transpose(x, out, 2, 2))
        x = _factored(net, _factored(net, x, 1), 1)
    return net.model(net.conv_transpose(x, 19, 2, 2), names=("classes",))


def _halved(net: ImageNet, x: Tensor, out: int) -> Tensor:
    return net.op("Relu", net.concat(net.conv(x, out - x.shape[1], 3, 2), net.pool(x, 2, 2), axis=1))


def _factored(net: ImageNet, x: Tensor, dilation: int) -> Tensor:
    out = x.shape[1]
    y = net.cba(net.cba(x, out, (3, 1)), out, (1, 3))
    y = net.op("Relu", net.conv(y, out, (3, 1), pads=[dilation, 0] * 2, dilation=dilation))
    y = net.conv(y, out, (1, 3), pads=[0, dilation] * 2, dilation=dilation, gain=BRANCH)
    return net.op("Relu", net.op("Add", y, x))


def hourglass(name: str, size: int, width: int, depth: int, joints: int) -> onnx.ModelProto:
    """Two hourglasses: bottlenecks down by MaxPool and up by nearest Resize, a sum at each size, heat maps fed back."""
    net = ImageNet(name)
    x = net.cba(net.input("image", (1, 3, size, size)), width // 2, 7, 2)
    x = net.pool(bottleneck(net, x, width // 4, width, 1), 2, 2)
    for stack in range(2):
        y = net.cba(bottleneck(net, _glass(net, x, width, depth), width // 2, width, 1), width)
        maps = net.conv(y, joints, gain=0.5)
        if stack == 0:
            x = net.op("Add", net.op("Add", x, net.conv(y, width, gain=BRANCH)), net.conv(maps, width, gain=BRANCH))
    return net.model(maps, names=("heat",))


def _glass(net: ImageNet, x: Tensor, width: int, depth: int) -> Tensor:
    side = bottleneck(net, x, width // 2, width, 1)
    low = bottleneck(net, net.pool(x, 2, 2), width // 2, width, 1)
    low = _glass(net, low, width, depth - 1) if depth > 1 else bottleneck(net, low, width // 2, width, 1)
    return net.op("Add", side, net.resize(bottleneck(net, low, width // 2, width, 1), 2))


def dense_resolution(name: str, size: int, width: int, blocks: int) -> onnx.ModelProto:
    """ESRGAN: five 3x3 convolutions that read all before them, sums scaled by 0.2, two nearest Resizes."""
    net = ImageNet(name, act="leaky")
    x = first = net.conv(net.input("low", (1, 3, size, size)), width, 3, gain=0.7)
    for _ in range(blocks):
        whole = x
        for _ in range(3):
            read, start = x, x
            for _ in range(4):
                read = net.concat(read, net.cba(read, width // 2, 3), axis=1)
            x = net.op("Add", net.op("Mul", net.conv(read, width, 3), net.number(0.2)), start)
        x = net.op("Add", net.op("Mul", x, net.number(0.2)), whole)
    x = net.op("Add", first, net.conv(x, width, 3, gain=0.7))
    for _ in range(2):
        x = net.cba(net.resize(x, 2), width, 3)
    return net.model(net.conv(net.cba(x, width, 3), 3, 3), names=("high",))


def flownet(name: str, height: int, width: int) -> onnx.ModelProto:
    """FlowNetS at half its width: two images joined, large kernels first, flow predicted and carried up at each size."""
    net, kept = ImageNet(name, act="leaky"), []
    x = net.input("pair", (1, 6, height, width))
    for out, kernel, count in ((32, 7, 1), (64, 5, 1), (128, 5, 2), (256, 3, 2), (256, 3, 2), (512, 3, 1)):
        x = net.cba(x, out, kernel, 2)
        x = net.cba(x, out, 3) if count == 2 else x
        kept.append(x)
    flow = net.conv(x, 2, 3)
    for skip, out in zip(kept[-2:0:-1], (256, 128, 64, 32), strict=True):
        up = net.act(net.conv_transpose(x, out, 4, 2, 1), "leaky")
        x = net.concat(skip, up, net.conv_transpose(flow, 2, 4, 2, 1), axis=1)
        flow = net.conv(x, 2, 3, gain=0.7)
    return net.model(net.resize(flow, 4, "linear"), names=("flow",))


def gated_restoration(name: str, size: int, width: int) -> onnx.ModelProto:
    """NAFNet: channel norms in parts, halves multiplied instead of an activation, gates without a Sigmoid, DepthToSpace up."""
    net, kept = TokenNet(name, 17, "parts", epsilon=1e-6), []
    shown = net.input("noisy", (1, 3, size, size))
    x = net.conv(shown, width, 3, gain=0.7)
    for _ in range(3):
        x = _gated(net, _gated(net, x))
        kept.append(x)
        x = net.conv(x, 2 * x.shape[1], 2, 2, pads=[0] * 4, gain=0.7)
    x = _gated(net, _gated(net, x))
    for skip in reversed(kept):
        n, c, h, w = x.shape
        x = net.op("DepthToSpace", net.conv(x, 2 * c, bias=False), shape=(n, c // 2, 2 * h, 2 * w), blocksize=2, mode="CRD")
        x = _gated(net, net.op("Add", x, skip))
    return net.model(net.op("Add", net.conv(x, 3, 3, gain=0.3), shown), names=("clean",))


def _gated(net: TokenNet, x: Tensor) -> Tensor:
    c = x.shape[1]
    y = net.conv(net.conv(_norm2d(net, x), 2 * c), 2 * c, 3, group=2 * c)
    y = net.op("Mul", *net.split(y, [c, c], 1))
    y = net.op("Mul", y, net.conv(net.global_pool(y), c))
    x = net.op("Add", x, net.op("Mul", net.conv(y, c), net.uniform((1, c, 1, 1), 0.1, 0.3)))
    y = net.op("Mul", *net.split(net.conv(_norm2d(net, x), 2 * c), [c, c], 1))
    return net.op("Add", x, net.op("Mul", net.conv(y, c), net.uniform((1, c, 1, 1), 0.1, 0.3)))


def _norm2d(net: TokenNet, x: Tensor) -> Tensor:
    c = x.shape[1]
    d = net.op("Sub", x, net.mean(x, [1]))
    y = net.op("Div", d, net.op("Sqrt", net.op("Add", net.mean(net.op("Pow", d, net.number(2.0)), [1]), net.number(1e-6))))
    return net.op("Add", net.op("Mul", y, net.uniform((1, c, 1, 1), 0.8, 1.2)), net.normal((1, c, 1, 1), 0.05))


def diffusion(name: str, size: int, width: int) -> onnx.ModelProto:
    """One step of DDPM's U-Net: GroupNorm as exported, SiLU, a time added to every block, attention on the small planes."""
    net, kept = TokenNet(name, 17, act="silu"), []
    x, time = net.input("sample", (1, 3, size, size)), net.input("timestep", (1,))
    angles = net.op("Mul", net.unsqueeze(time, 1), net.constant(np.exp(-np.arange(width // 2) / 16).astype(np.float32)[None]))
    t = net.concat(net.op("Sin", angles), net.op("Cos", angles), axis=1)
    t = net.act(net.linear(net.act(net.linear(t, 4 * width), "silu"), 4 * width), "silu")
    x = net.conv(x, width, 3, gain=0.7)
    for level, wide in enumerate((width, 2 * width, 2 * width)):
        for _ in range(2):
            x = _timed(net, x, wide, t)
            x = _plane_attention(net, x) if level else x
            kept.append(x)
        x = net.conv(x, wide, 3, 2, gain=0.7) if level < 2 else x
    x = _timed(net, _plane_attention(net, _timed(net, x, 2 * width, t)), 2 * width, t)
    for level, wide in enumerate((2 * width, 2 * width, width)):
        for _ in range(2):
            x = _timed(net, net.concat(x, kept.pop(), axis=1), wide, t)
        x = net.conv(net.resize(x, 2), wide, 3, gain=0.7) if level < 2 else x
    return net.model(net.conv(net.act(_groups(net, x), "silu"), 3, 3), names=("noise",))


def _groups(net: TokenNet, x: Tensor, groups: int = 16) -> Tensor:
    """GroupNorm as PyTorch exports it: Reshape, InstanceNormalization, Reshape, Mul, Add."""
    flat = net.reshape(x, [0, groups, -1])
    y = net.op("InstanceNormalization", flat, net.constant(np.ones(groups, np.float32)),
               net.constant(np.zeros(groups, np.float32)), shape=flat.shape, epsilon=1e-5)  # fmt: skip
    y = net.op("Reshape", y, net.constant(list(x.shape)), shape=x.shape)
    return net.op("Add", net.op("Mul", y, net.uniform((x.shape[1], 1, 1), 0.8, 1.2)), net.normal((x.shape[1], 1, 1), 0.05))


def _timed(net: TokenNet, x: Tensor, out: int, t: Tensor) -> Tensor:
    y = net.conv(net.act(_groups(net, x), "silu"), out, 3)
    y = net.op("Add", y, net.unsqueeze(net.unsqueeze(net.linear(t, out), 2), 3))
    y = net.conv(net.act(_groups(net, y), "silu"), out, 3, gain=BRANCH)
    return net.op("Add", x if x.shape[1] == out else net.conv(x, out, gain=0.7), y)


def _plane_attention(net: TokenNet, x: Tensor) -> Tensor:
    y = net.attention(net.tokens(_groups(net, x)), max(1, x.shape[1] // 64))
    return net.op("Add", x, net.plane(y, *x.shape[2:]))


def go_player(name: str, width: int, blocks: int, batch: int) -> onnx.ModelProto:
    """AlphaZero's on a 19 x 19 board: residual 3x3 blocks, a head of moves and one of value."""
    net = ImageNet(name)
    x = net.cba(net.input("planes", (batch, 17, 19, 19)), width, 3)
    for _ in range(blocks):
        x = net.op("Relu", net.op("Add", net.cba(net.cba(x, width, 3), width, 3, act="", gain=BRANCH), x))
    moves, value = net.cba(x, 2), net.cba(x, 1)
    moves = net.linear(net.op("Flatten", moves, shape=(batch, 722), axis=1), 362)
    value = net.op("Relu", net.linear(net.op("Flatten", value, shape=(batch, 361), axis=1), 256))
    return net.model(net.op("Softmax", moves, axis=1), net.op("Tanh", net.linear(value, 1)), names=("policy", "value"))


def generator(name: str, size: int, widths: Sequence[int]) -> onnx.ModelProto:
    """pix2pix: strided 4x4 with LeakyRelu down, ConvTranspose 4x4 up, joined at each size, Tanh."""
    net, kept = ImageNet(name, act="leaky"), []
    x = net.input("image", (1, 3, size, size))
    for width in widths:
        x = net.cba(x, width, 4, 2, pads=[1] * 4)
        kept.append(x)
    for skip in reversed(kept[:-1]):
        x = net.concat(net.op("Relu", net.conv_transpose(x, skip.shape[1], 4, 2, 1)), skip, axis=1)
    return net.model(net.op("Tanh", net.conv_transpose(x, 3, 4, 2, 1)), names=("painted",))
