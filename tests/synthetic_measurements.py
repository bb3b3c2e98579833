"""Measurements of devices that do not exist, whose true rates are known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoglmc.compiler.calibrate.records import MeasuredKernel, MeasuredSegment, Measurement
from autoglmc.targets.calibrated_cost import activation_bytes, work
from autoglmc.targets.calibration import Block
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.origin import Origin

Shape = tuple[int, ...]
BLOCK = Block(operators=("Conv",), axis="channels", multiple=16, origin=Origin("test", 1, 1))
UNITS = {
    "depthwise": "operations", "pointwise": "operations", "window": "operations", "product": "operations", "gelu": "elements",
    "softmax": "elements", "norm": "elements", "add": "bytes", "transpose": "bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """The device."""

    rates: Mapping[str, float]
    launch: float
    dispatch: float
    bandwidth: float
    beyond: float = 24 * 2.0**20
    overhead: float = 2e-6
    """Of the profiler."""
    traffic: float | None = None
    """Bytes a second that operators counted in operations read and write besides."""


def view(
    operator: str, inputs: Mapping[str, tuple[Shape, bool]], output: tuple[str, Shape], **attributes: int | tuple[int, ...]
) -> OperatorView:
    """An operator on fp32; inputs by schema name: (shape, constant)."""
    tensors = {label: TensorView(f"{operator}_{label}", "fp32", shape, const) for label, (shape, const) in inputs.items()}
    out = {output[0]: TensorView(f"{operator}_out", "fp32", output[1], False)}
    return OperatorView(operator.lower(), "", operator, 21, attributes, tensors, out)


def numbered(op: OperatorView, number: int) -> OperatorView:
    """The same with constants of its own."""
    inputs = {label: replace(t, name=f"{t.name}_{number}") if t.const else t for label, t in op.inputs.items()}
    return replace(op, inputs=inputs)


def conv(channels: int, out: int, size: int, kernel: int, group: int = 1) -> OperatorView:
    """Stride 1, padded."""
    attributes = {"group": group, "kernel_shape": (kernel, kernel), "strides": (1, 1), "dilations": (1, 1), "pads": (kernel // 2,) * 4}
    inputs = {"X": ((1, channels, size, size), False), "W": ((out, channels // group, kernel, kernel), True)}
    return view("Conv", inputs, ("Y", (1, out, size, size)), **attributes)


def operator(kind: str, source: random.Random, tiny: bool = False) -> OperatorView:
    """One of a kind, of a random size."""
    channels, size, rows = source.choice((16, 24, 40, 64, 96, 160, 256)), source.choice((7, 14, 28, 56)), source.choice((16, 64, 197, 384))
    wide = source.choice((64, 192, 384, 768))
    if tiny:
        channels, size, rows, wide = source.choice((16, 24, 40)), source.choice((7, 14)), 16, 64
    image, sequence = (1, channels, size, size), (1, rows, wide)
    if kind == "depthwise":
        return conv(channels, channels, size, 3, channels)
    if kind == "pointwise":
        return conv(channels, source.choice((16, 24, 64, 160)), size, 1)
    if kind == "window":
        return conv(channels, source.choice((16, 24, 64, 160)), size, source.choice((3, 5)))
    if kind == "product":
        out = source.choice((64, 192, 768, 1536))
        return view("MatMul", {"A": (sequence, False), "B": ((wide, out), True)}, ("Y", (1, rows, out)))
    if kind == "gelu":
        return view("Gelu", {"X": (sequence, False)}, ("Y", sequence))
    if kind == "softmax":
        return view("Softmax", {"input": ((1, 4, rows, rows), False)}, ("output", (1, 4, rows, rows)), axis=-1)
    if kind == "norm":
        return view("LayerNormalization", {"X": (sequence, False), "Scale": ((wide,), True)}, ("Y", sequence), axis=-1)
    if kind == "transpose":
        return view("Transpose", {"data": (sequence, False)}, ("transposed", sequence), perm=(0, 2, 1))
    return view("Add", {"A": (image, False), "B": (image, False)}, ("C", image))


def seconds_of(truth: Truth, kind: str, op: OperatorView) -> float:
    """What the device takes for it, without launch and streamed weights."""
    computed = work(op, UNITS[kind], (BLOCK,), "fp32") / truth.rates[kind]  # type: ignore[arg-type]
    moved = activation_bytes(op, "fp32") / truth.traffic if truth.traffic and UNITS[kind] == "operations" else 0.0
    return computed + moved


def measured(
    truth: Truth, networks: int, noise: float, seed: int = 0, length: int = 60, profiled: bool = True, tiny: bool = False
) -> Measurement:
    """Networks of random operators; every time is off by a factor of (1 ± noise), latencies and profiles apart."""
    source = random.Random(seed)
    kinds = sorted(truth.rates)

    def blurred(seconds: float) -> float:
        return seconds * max(0.05, 1.0 + source.gauss(0.0, noise))

    segments = []
    for number in range(networks):
        own = source.sample(kinds, max(1, len(kinds) * 2 // 3))
        kinds_of = [source.choice(own) for _ in range(source.randint(length // 3, length))]
        chosen = [(kind, numbered(operator(kind, source, tiny), k)) for k, kind in enumerate(kinds_of)]
        weights = sum(t.bytes or 0 for _, op in chosen for t in op.inputs.values() if t.const)
        streamed = max(0.0, weights - truth.beyond) / truth.bandwidth
        seconds = [seconds_of(truth, kind, op) for kind, op in chosen]
        total = truth.dispatch + sum(seconds) + truth.launch * len(seconds) + streamed
        kernels = tuple(
            MeasuredKernel(name=f"{kind} {k}", views=(op,), compute_dtype="fp32", seconds=blurred(s + truth.overhead) if profiled else None)
            for k, ((kind, op), s) in enumerate(zip(chosen, seconds, strict=True))
        )
        segments.append(
            MeasuredSegment(
                network=f"net{number:02}",
                case=f"net{number:02} 1x",
                kernels=kernels,
                weight_bytes=weights,
                latency=blurred(total),
                floor=0.02,
                unjoined={},
            )
        )
    return Measurement(device="cpu", runtime="synthetic 1.0", environment={"threads": "1"}, segments=tuple(segments))


def truth_of(seed: int) -> Truth:
    """Random rates within what CPUs have."""
    source = random.Random(seed)
    ranges = {"operations": (2e10, 2e11), "elements": (5e8, 5e9), "bytes": (5e9, 1e11)}
    rates = {kind: source.uniform(*ranges[unit]) for kind, unit in UNITS.items()}
    return Truth(rates, launch=source.uniform(5e-7, 3e-6), dispatch=source.uniform(2e-6, 1e-5), bandwidth=source.uniform(1e10, 4e10))


def broken(measurement: Measurement, factor: float, every: int) -> Measurement:
    """Every so many kernels of the profile off by a factor."""
    count = 0
    segments = []
    for segment in measurement.segments:
        kernels = []
        for kernel in segment.kernels:
            count += 1
            wrong = kernel.seconds is not None and count % every == 0
            kernels.append(replace(kernel, seconds=kernel.seconds * factor) if wrong and kernel.seconds else kernel)
        segments.append(replace(segment, kernels=tuple(kernels)))
    return replace(measurement, segments=tuple(segments))
