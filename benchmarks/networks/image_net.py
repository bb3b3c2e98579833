"""Layers on N C H W (and N C L), as PyTorch's exporter writes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .net import Net
from .tensor import Tensor


class ImageNet(Net):
    """Convolutional layers. folded: normalisation stands in the weights already, as after an export in eval mode."""

    def __init__(self, name: str, opset: int = 17, folded: bool = True, act: str = "relu") -> None:
        super().__init__(name, opset)
        self.folded, self.activation = folded, act

    def conv(self, x: Tensor, out: int, kernel: int | Sequence[int] = 1, stride: int | Sequence[int] = 1, group: int = 1, dilation: int = 1,
             pads: Sequence[int] | None = None, bias: bool = True, gain: float = 1.0) -> Tensor:  # fmt: skip
        """Pads keep the extent at stride 1, unless others are given. gain: 1 keeps the variance before a Relu."""
        rank = len(x.shape) - 2
        kernels = [kernel] * rank if isinstance(kernel, int) else list(kernel)
        strides = [stride] * rank if isinstance(stride, int) else list(stride)
        edges = list(pads) if pads is not None else [dilation * (k - 1) // 2 for k in kernels] * 2
        inputs = x.shape[1] // group
        weight = self.normal((out, inputs, *kernels), gain * (2 / (inputs * int(np.prod(kernels)))) ** 0.5)
        extents = [
            (size + edges[k] + edges[rank + k] - dilation * (kernels[k] - 1) - 1) // strides[k] + 1 for k, size in enumerate(x.shape[2:])
        ]
        operands = [x, weight, self.normal((out,), 0.05)] if bias else [x, weight]
        return self.op("Conv", *operands, shape=(x.shape[0], out, *extents), kernel_shape=kernels, strides=strides, pads=edges,
                       dilations=[dilation] * rank, group=group)  # fmt: skip

    def batch_norm(self, x: Tensor) -> Tensor:
        channels = (x.shape[1],)
        scale, shift, mean = self.uniform(channels, 0.8, 1.2), self.normal(channels, 0.05), self.normal(channels, 0.05)
        return self.op("BatchNormalization", x, scale, shift, mean, self.uniform(channels, 0.8, 1.2), shape=x.shape, epsilon=1e-5)

    def cba(self, x: Tensor, out: int, kernel: int | Sequence[int] = 1, stride: int | Sequence[int] = 1, group: int = 1, dilation: int = 1,
            act: str | None = None, gain: float = 1.0, pads: Sequence[int] | None = None) -> Tensor:  # fmt: skip
        """Conv, BatchNormalization, activation. act: "" for none, None for the network's own."""
        x = self.conv(x, out, kernel, stride, group, dilation, pads=pads, bias=self.folded, gain=gain)
        x = x if self.folded else self.batch_norm(x)
        return self.act(x, self.activation if act is None else act)

    def depthwise(self, x: Tensor, kernel: int, stride: int = 1, act: str | None = None) -> Tensor:
        return self.cba(x, x.shape[1], kernel, stride, group=x.shape[1], act=act)

    def act(self, x: Tensor, kind: str) -> Tensor:
        if kind in PLAIN:
            operator, attributes = PLAIN[kind]
            return self.op(operator, x, shape=x.shape, **attributes)
        return {"": lambda x: x, "relu6": self._relu6, "silu": self._silu, "gelu": self.gelu, "hardswish_parts": self._hard_swish,
                "mish": self._mish, "prelu": self._prelu}[kind](x)  # fmt: skip

    def _relu6(self, x: Tensor) -> Tensor:
        return self.op("Clip", x, self.number(0.0), self.number(6.0), shape=x.shape)

    def _silu(self, x: Tensor) -> Tensor:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def _mish(self, x: Tensor) -> Tensor:
        return self.op("Mul", x, self.op("Tanh", self.op("Softplus", x)))

    def _prelu(self, x: Tensor) -> Tensor:
        slope = self.uniform((x.shape[1], *[1] * (len(x.shape) - 2)), 0.1, 0.3)
        return self.op("PRelu", x, slope, shape=x.shape)

    def _hard_swish(self, x: Tensor) -> Tensor:
        """As exporters below opset 14 write it."""
        gate = self.op("Clip", self.op("Add", x, self.number(3.0)), self.number(0.0), self.number(6.0), shape=x.shape)
        return self.op("Div", self.op("Mul", x, gate), self.number(6.0))

    def gelu(self, x: Tensor) -> Tensor:
        if self.opset >= 20:
            return self.op("Gelu", x)
        y = self.op("Add", self.op("Erf", self.op("Div", x, self.number(2**0.5))), self.number(1.0))
        return self.op("Mul", self.op("Mul", x, y), self.number(0.5))

    def pool(self, x: Tensor, kernel: int, stride: int, kind: str = "MaxPool", pad: int = 0, ceil: bool = False) -> Tensor:
        extents = [(size + 2 * pad - kernel + (stride - 1 if ceil else 0)) // stride + 1 for size in x.shape[2:]]
        rank = len(extents)
        attributes = {"count_include_pad": 1} if kind == "AveragePool" else {}
        return self.op(kind, x, shape=(*x.shape[:2], *extents), kernel_shape=[kernel] * rank, strides=[stride] * rank,
                       pads=[pad] * 2 * rank, ceil_mode=int(ceil), **attributes)  # fmt: skip

    def global_pool(self, x: Tensor) -> Tensor:
        return self.op("GlobalAveragePool", x, shape=(*x.shape[:2], *[1] * (len(x.shape) - 2)))

    def squeeze_excite(self, x: Tensor, inner: int, act: str = "relu", gate: str = "sigmoid", mean: bool = False) -> Tensor:
        """mean: the pool is a ReduceMean over the plane, as timm writes it."""
        y = self.mean(x, [2, 3]) if mean else self.global_pool(x)
        y = self.act(self.conv(y, inner), act)
        return self.op("Mul", x, self.act(self.conv(y, x.shape[1], gain=0.7), gate))

    def shuffle(self, x: Tensor, groups: int) -> Tensor:
        n, c, h, w = x.shape
        y = self.transpose(self.reshape(x, [n, groups, c // groups, h, w]), 0, 2, 1, 3, 4)
        return self.reshape(y, [n, c, h, w])

    def resize(self, x: Tensor, scale: int, mode: str = "nearest") -> Tensor:
        n, c, h, w = x.shape
        how = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else {
            "coordinate_transformation_mode": "half_pixel"}  # fmt: skip
        scales = self.constant(np.array([1, 1, scale, scale], np.float32))
        return self.op("Resize", x, "", scales, shape=(n, c, h * scale, w * scale), mode=mode, **how)

    def conv_transpose(self, x: Tensor, out: int, kernel: int, stride: int, pad: int = 0) -> Tensor:
        n, c, *extents = x.shape
        weight = self.normal((c, out, *[kernel] * len(extents)), (2 * stride ** len(extents) / (c * kernel ** len(extents))) ** 0.5)
        shape = (n, out, *((size - 1) * stride + kernel - 2 * pad for size in extents))
        rank = len(extents)
        return self.op("ConvTranspose", x, weight, self.normal((out,), 0.05), shape=shape, kernel_shape=[kernel] * rank,
                       strides=[stride] * rank, pads=[pad] * 2 * rank)  # fmt: skip

    def linear(self, x: Tensor, out: int, gain: float = 1.0) -> Tensor:
        """nn.Linear on [N, C]: Gemm with a transposed weight."""
        weight = self.normal((out, x.shape[1]), gain * x.shape[1] ** -0.5)
        return self.op("Gemm", x, weight, self.normal((out,), 0.05), shape=(x.shape[0], out), transB=1)

    def classify(self, x: Tensor, classes: int = 1000) -> Tensor:
        """Mean over the plane, Flatten, Gemm."""
        pooled = self.global_pool(x)
        return self.linear(self.op("Flatten", pooled, shape=pooled.shape[:2], axis=1), classes)


PLAIN: dict[str, tuple[str, dict[str, object]]] = {
    "relu": ("Relu", {}), "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "elu": ("Elu", {"alpha": 1.0}), "hardswish": ("HardSwish", {}),
    "leaky": ("LeakyRelu", {"alpha": 0.1}), "hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}), "softplus": ("Softplus", {}),
}  # fmt: skip
"""Activations that are one operator."""
