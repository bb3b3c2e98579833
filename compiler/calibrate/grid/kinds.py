"""Kinds of convolutions and recurrent layers that few networks have: on one and three axes, dilated, of channels that fill no block, in
batches, both ways."""

from __future__ import annotations

from collections.abc import Iterator

from .kernel_model import KernelModel, Step, weights

SIGNALS = (
    # channels in, out, kernel, length, stride, dilation, groups, batch
    (40, 64, 3, 200, 1, 1, 1, 1), (64, 64, 5, 400, 1, 1, 1, 1), (64, 128, 1, 100, 1, 1, 1, 1), (1, 32, 10, 4000, 1, 1, 1, 1),
    (16, 16, 7, 1536, 1, 1, 1, 1), (32, 32, 11, 768, 1, 5, 1, 1), (48, 96, 2, 1024, 1, 64, 1, 1), (48, 96, 1, 1024, 1, 1, 1, 1),
    (256, 256, 3, 100, 1, 2, 1, 1), (512, 512, 1, 64, 1, 1, 1, 1), (32, 64, 8, 800, 4, 1, 1, 1), (12, 24, 3, 12, 1, 1, 1, 64),
    (128, 64, 5, 64, 1, 1, 1, 8), (80, 200, 3, 50, 1, 1, 1, 1), (64, 64, 3, 200, 1, 1, 64, 1), (128, 128, 33, 100, 1, 1, 128, 1),
    (256, 256, 63, 100, 1, 1, 256, 1), (192, 192, 3, 256, 1, 4, 192, 1), (256, 256, 31, 50, 1, 1, 256, 1), (64, 64, 3, 200, 1, 1, 4, 1),
    (96, 96, 9, 400, 2, 1, 96, 1), (128, 256, 1, 128, 1, 1, 4, 1),
)  # fmt: skip
VOLUMES = (
    # channels in, out, kernel, extents, stride, groups
    (3, 24, (3, 3, 3), (8, 32, 32), 1, 1), (16, 16, (3, 3, 3), (8, 28, 28), 1, 1), (32, 32, (3, 3, 3), (4, 28, 28), 1, 1),
    (32, 64, (3, 3, 3), (4, 14, 14), 2, 1), (64, 64, (3, 3, 3), (4, 14, 14), 1, 1), (32, 32, (1, 3, 3), (8, 28, 28), 1, 1),
    (64, 48, (1, 3, 3), (4, 14, 14), 1, 1), (48, 32, (3, 1, 1), (8, 28, 28), 1, 1), (64, 64, (3, 1, 1), (4, 14, 14), 1, 1),
    (3, 24, (1, 7, 7), (4, 56, 56), 2, 1), (32, 64, (1, 1, 1), (8, 14, 14), 1, 1), (128, 64, (1, 1, 1), (4, 14, 14), 1, 1),
    (32, 32, (3, 3, 3), (4, 14, 14), 1, 32), (128, 128, (3, 3, 3), (2, 7, 7), 1, 1), (256, 256, (3, 3, 3), (1, 4, 4), 1, 1),
)  # fmt: skip
PLANES = (
    # channels, kernel, side, stride, dilation, groups
    (42, 3, 28, 1, 1, 42), (58, 3, 28, 2, 1, 58), (42, 5, 16, 1, 1, 42), (30, 3, 56, 1, 1, 30), (90, 5, 14, 2, 1, 90),
    (116, 3, 14, 1, 1, 116), (20, 9, 24, 1, 1, 20), (180, 7, 12, 1, 1, 180), (64, 3, 28, 1, 2, 1), (128, 3, 14, 1, 4, 1),
    (96, 3, 28, 1, 2, 96), (32, 3, 28, 1, 8, 32), (40, 3, 20, 1, 1, 5),
)  # fmt: skip
TRANSPOSED = ((1, 64, 32, 4, 100, 2), (1, 128, 64, 16, 50, 8), (1, 32, 16, 8, 400, 4), (1, 16, 16, 3, 800, 2), (3, 32, 16, 2, 8, 2))
"""Axes, channels in, out, kernel, length of an axis, stride."""
RECURRENT = (
    # operator, steps, batch, extent, state, directions
    ("LSTM", 30, 4, 128, 128, 2), ("LSTM", 24, 16, 64, 64, 2), ("LSTM", 40, 1, 64, 96, 2), ("LSTM", 80, 1, 128, 64, 2),
    ("LSTM", 20, 8, 64, 128, 1), ("LSTM", 16, 32, 96, 96, 1), ("LSTM", 32, 4, 32, 64, 1), ("LSTM", 32, 4, 64, 64, 2),
    ("LSTM", 16, 1, 768, 256, 2), ("LSTM", 16, 8, 768, 256, 2), ("GRU", 30, 4, 128, 128, 2), ("GRU", 48, 1, 64, 128, 2),
    ("GRU", 24, 8, 64, 64, 1), ("GRU", 16, 16, 96, 96, 2), ("GRU", 40, 1, 128, 64, 2), ("GRU", 32, 4, 64, 128, 1),
    ("GRU", 24, 1, 1024, 320, 2), ("GRU", 12, 4, 512, 256, 1),
)  # fmt: skip


def kinds() -> Iterator[KernelModel]:
    """All of them, in fp32."""
    for into, out, kernel, length, stride, dilation, groups, batch in SIGNALS:
        yield windowed("Conv", batch, into, out, (kernel,), (length,), stride, dilation, groups)
    for into, out, kernels, extents, stride, groups in VOLUMES:
        yield windowed("Conv", 1, into, out, kernels, extents, stride, 1, groups)
    for channels, kernel, side, stride, dilation, groups in PLANES:
        yield windowed("Conv", 1, channels, channels, (kernel,) * 2, (side,) * 2, stride, dilation, groups)
    for rank, into, out, kernel, length, stride in TRANSPOSED:
        yield windowed("ConvTranspose", 1, into, out, (kernel,) * rank, (length,) * rank, stride, 1, 1)
    for operator, steps, batch, extent, state, directions in RECURRENT:
        yield recurrent(operator, steps, batch, extent, state, directions)


def windowed(
    operator: str,
    batch: int,
    into: int,
    out: int,
    kernel: tuple[int, ...],
    extents: tuple[int, ...],
    stride: int,
    dilation: int,
    groups: int,
) -> KernelModel:
    """Conv or ConvTranspose along any number of axes."""
    rank, conv = len(kernel), operator == "Conv"
    pads = [(extent - 1) * dilation // 2 for extent in kernel] if conv else [0] * rank
    attributes = {
        "kernel_shape": list(kernel), "strides": [1 if k == 1 else stride for k in kernel], "dilations": [dilation] * rank, "group": groups,
        "pads": pads * 2,
    }  # fmt: skip
    shape = (out, into // groups, *kernel) if conv else (into, out, *kernel)
    named = (
        f"{operator} {'x'.join(map(str, kernel))} {into}->{out} {batch} of {'x'.join(map(str, extents))}",
        f"stride {stride}" if stride > 1 else "", f"dilation {dilation}" if dilation > 1 else "", f"/{groups}" if groups > 1 else "",
    )  # fmt: skip
    step = Step(operator, ("x", "w", "b"), attributes=attributes)
    constants = {"w": weights(*shape), "b": weights(out)}
    return KernelModel(" ".join(filter(None, named)), [step], {"x": ("float32", (batch, into, *extents))}, constants)


def recurrent(operator: str, steps: int, batch: int, extent: int, state: int, directions: int) -> KernelModel:
    """One layer, of sequences side by side, forward or both ways."""
    gates = {"LSTM": 4, "GRU": 3}[operator]
    constants = {"w": weights(directions, gates * state, extent), "r": weights(directions, gates * state, state)}
    attributes = {"hidden_size": state, "direction": "bidirectional" if directions == 2 else "forward"}
    name = f"{operator} {batch} x {steps} steps {extent}->{state}{' both ways' if directions == 2 else ''}"
    return KernelModel(
        name, [Step(operator, ("x", "w", "r"), attributes=attributes)], {"x": ("float32", (steps, batch, extent))}, constants
    )
