"""Layers on [batch, length, width], as PyTorch's exporters write them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .image_net import ImageNet
from .tensor import Tensor

BRANCH = 0.4
"""Gain of what a branch adds to the stream."""


class TokenNet(ImageNet):
    """norm: "parts" (primitives, as below opset 17) or "operator"."""

    def __init__(self, name: str, opset: int = 17, norm: str = "operator", act: str = "gelu", epsilon: float = 1e-5) -> None:
        super().__init__(name, opset, act=act)
        self.norm, self.epsilon = norm, epsilon

    def act(self, x: Tensor, kind: str) -> Tensor:
        if kind == "gelu_tanh":
            return self._gelu_tanh(x)
        if kind == "quick_gelu":
            return self.op("Mul", x, self.op("Sigmoid", self.op("Mul", x, self.number(1.702))))
        return super().act(x, kind)

    def _gelu_tanh(self, x: Tensor) -> Tensor:
        """GPT-2's."""
        cubed = self.op("Mul", self.op("Pow", x, self.number(3.0)), self.number(0.044715))
        y = self.op("Tanh", self.op("Mul", self.op("Add", x, cubed), self.number((2 / np.pi) ** 0.5)))
        return self.op("Mul", self.op("Mul", x, self.number(0.5)), self.op("Add", y, self.number(1.0)))

    def dense(self, x: Tensor, out: int, bias: bool = True, gain: float = 1.0) -> Tensor:
        y = self.matmul(x, self.normal((x.shape[-1], out), gain * x.shape[-1] ** -0.5))
        return self.op("Add", self.normal((out,), 0.05), y, shape=y.shape) if bias else y

    def layer_norm(self, x: Tensor) -> Tensor:
        scale, shift = self.uniform(x.shape[-1:], 0.8, 1.2), self.normal(x.shape[-1:], 0.05)
        if self.norm == "operator":
            return self.op("LayerNormalization", x, scale, shift, shape=x.shape, axis=-1, epsilon=self.epsilon)
        d = self.op("Sub", x, self.mean(x, [-1]))
        variance = self.mean(self.op("Pow", d, self.number(2.0)), [-1])
        y = self.op("Div", d, self.op("Sqrt", self.op("Add", variance, self.number(self.epsilon))))
        return self.op("Add", self.op("Mul", y, scale), shift)

    def rms_norm(self, x: Tensor) -> Tensor:
        mean = self.mean(self.op("Pow", x, self.number(2.0)), [-1])
        root = self.op("Sqrt", self.op("Add", mean, self.number(1e-6)))
        return self.op("Mul", self.uniform(x.shape[-1:], 0.8, 1.2), self.op("Mul", x, self.op("Reciprocal", root)))

    def heads(self, x: Tensor, count: int, keys: bool = False) -> Tensor:
        """[N, L, W] to [N, heads, L, W / heads]; keys: to [N, heads, W / heads, L]."""
        y = self.reshape(x, [0, 0, count, x.shape[-1] // count])
        return self.transpose(y, 0, 2, 3, 1) if keys else self.transpose(y, 0, 2, 1, 3)

    def joined(self, x: Tensor) -> Tensor:
        y = self.transpose(x, 0, 2, 1, 3)
        return self.reshape(y, [0, 0, y.shape[2] * y.shape[3]])

    def attend(self, q: Tensor, keys: Tensor, v: Tensor, mask: Tensor | None = None, scaled: bool = True) -> Tensor:
        """q and v [N, heads, L, D], keys [N, heads, D, L]; mask: added to the scores."""
        scores = self.matmul(q, keys)
        scores = self.op("Div", scores, self.number(q.shape[-1] ** 0.5)) if scaled else scores
        scores = self.op("Add", scores, mask) if mask is not None else scores
        return self.joined(self.matmul(self.op("Softmax", scores, axis=-1), v))

    def attention(self, x: Tensor, heads: int, mask: Tensor | None = None, memory: Tensor | None = None, gain: float = BRANCH) -> Tensor:
        """Three projections, attention, output projection. memory: what keys and values are read from."""
        width, source = x.shape[-1], x if memory is None else memory
        q, k, v = self.dense(x, width), self.dense(source, width), self.dense(source, width)
        y = self.attend(self.heads(q, heads), self.heads(k, heads, keys=True), self.heads(v, heads), mask)
        return self.dense(y, width, gain=gain)

    def fused_attention(self, x: Tensor, heads: int) -> Tensor:
        """One projection for q, k and v, taken apart by Gather, as timm writes it."""
        width = x.shape[-1]
        y = self.reshape(self.dense(x, 3 * width), [0, x.shape[1], 3, heads, width // heads])
        y = self.transpose(y, 2, 0, 3, 1, 4)
        q, k, v = (self.gather(y, self.constant(np.array(part))) for part in range(3))
        scores = self.matmul(self.op("Mul", q, self.number((width // heads) ** -0.5)), self.transpose(k, 0, 1, 3, 2))
        y = self.joined(self.matmul(self.op("Softmax", scores, axis=-1), v))
        return self.dense(y, width, gain=BRANCH)

    def feed_forward(self, x: Tensor, inner: int, act: str | None = None, gain: float = BRANCH) -> Tensor:
        return self.dense(self.act(self.dense(x, inner), act or self.activation), x.shape[-1], gain=gain)

    def encoder_layer(self, x: Tensor, heads: int, inner: int, mask: Tensor | None = None, before: bool = True) -> Tensor:
        """before: normalisation in front of each branch (pre-norm), else behind the sum."""
        if before:
            x = self.op("Add", x, self.attention(self.layer_norm(x), heads, mask))
            return self.op("Add", x, self.feed_forward(self.layer_norm(x), inner))
        x = self.layer_norm(self.op("Add", self.attention(x, heads, mask), x))
        return self.layer_norm(self.op("Add", self.feed_forward(x, inner), x))

    def ids(self, name: str, length: int, batch: int = 1) -> Tensor:
        return self.input(name, (batch, length), TensorProto.INT64, ("batch", "sequence"))

    def embed(self, ids: Tensor, words: int, width: int, deviation: float = 0.5) -> Tensor:
        return self.gather(self.normal((words, width), deviation), ids)

    def padding_mask(self, mask: Tensor) -> Tensor:
        """[N, L] of 0 and 1 to [N, 1, 1, L] of 0 and a large negative number."""
        y = self.unsqueeze(self.unsqueeze(mask, 1), 2)
        y = self.op("Cast", y, shape=y.shape, to=TensorProto.FLOAT)
        return self.op("Mul", self.op("Sub", self.number(1.0), y), self.number(-10000.0))

    def length_of(self, x: Tensor, axis: int = 1) -> Tensor:
        """An extent as the exporter asks for it: Shape, Gather, Unsqueeze."""
        shape = self.op("Shape", x, shape=(len(x.shape),))
        return self.unsqueeze(self.gather(shape, self.constant(np.array(axis))), 0)

    def patches(self, x: Tensor, width: int, patch: int) -> Tensor:
        """An image as tokens [N, L, width]."""
        y = self.conv(x, width, patch, patch, pads=[0] * 4, gain=0.7)
        return self.tokens(y)

    def tokens(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return self.transpose(self.reshape(x, [n, c, h * w]), 0, 2, 1)

    def plane(self, x: Tensor, h: int, w: int) -> Tensor:
        n, _, c = x.shape
        return self.reshape(self.transpose(x, 0, 2, 1), [n, c, h, w])
