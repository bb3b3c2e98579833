"""What a target machine is: plain frozen facts, in SI units (bytes, seconds, FLOP/s, bytes/s, watts).

Nothing here reads a file, knows ONNX or decides anything. `grammar/analyse.py` builds these from a .hw file,
`targets/support.py` answers "does this device run this operator", `targets/cost.py` turns them into time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .calibration import Calibration, PowerModel
from .formula import Expression
from .origin import Fact, Origin
from .precision import NO_PRECISION, Precision, WeightFormat
from .rule_spec import RuleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A memory, its size and what addresses it."""

    name: str
    size: int
    budget: int
    """Bytes that one deployment may hold; equal to `size` where the file states no budget."""
    bandwidth: float
    """Bytes per second."""
    page: int
    shared: tuple[str, ...]
    """Names of the devices that address this memory."""
    holds: tuple[str, ...] = ("weights", "activations")
    """What may be put there: constants, and the tensors that come and go. Flash that only holds weights is never written."""
    resident: int | None = None
    """Bytes of weights that sessions may hold there in copies of their own, all others being read from the mapped file; None for any."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a device reaches in one dtype."""

    dtype: str
    """fp32, fp16, bf16, int8 …"""
    rate: float
    """Operations per second (one multiply-add counts two)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`runtime coreml mlprogram ios >= 17`: adapter "coreml", words ("mlprogram", "ios", ">=", "17")."""

    adapter: str
    """"none" means plan only; "ort" is onnxruntime on the CPU."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRule:
    """One operator of a `supports` or `deny` block; `where` is its condition, None for always."""

    domain: str
    """"" is ai.onnx."""
    operator: str
    where: Expression | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportBlock:
    """One `supports` block."""

    dtypes: tuple[str, ...]
    """Compute dtypes of this block; empty with `everything` for `supports all`."""
    everything: bool
    rules: tuple[OperatorRule, ...]
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStage:
    """One step of a chain: any of these operators."""

    operators: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelChain:
    """A chain of operators that the device runs as one launch, e.g. Conv -> Relu | Clip."""

    stages: tuple[KernelStage, ...]
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteLine:
    """`rewrite Gelu -> relu_tanh tol 5e-4 keep fp32 ReduceMean where …`; order in the file is preference."""

    operator: str
    rule: str
    """"native", "decompose" or the name of a rule."""
    tolerance: float | None
    keep: tuple[tuple[str, str], ...]
    """(dtype, operator) pairs that stay in that dtype."""
    where: Expression | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What runs operators: its numbers, its tables and its limits of shape."""

    name: str
    kind: str
    """The word after the colon: ane, htp, metal, arm64 …; free text for reports."""
    runtime: Runtime
    peaks: tuple[Peak, ...]
    sustained: float
    """Fraction of `peaks` that real work reaches, 0..1; 1.0 where the file states none (peaks then are what is reached)."""
    dispatch: float
    """Seconds to start one segment."""
    launch: float
    """Seconds per kernel inside a running segment."""
    row_align: int
    """Bytes to which the last axis of a tensor is padded; 1 where there is no such rule."""
    max_rank: int | None
    max_dims: tuple[tuple[str, int], ...]
    """(axis letter, largest extent), axes counted from the last: W, H, C, N (and D between C and H for rank 5)."""
    static_shapes: bool
    active_power: float | None
    idle_power: float | None
    supports: tuple[SupportBlock, ...]
    denies: tuple[OperatorRule, ...]
    kernels: tuple[KernelChain, ...]
    rewrites: tuple[RewriteLine, ...]
    origin: Origin
    layout: str = "nchw"
    """Order of the axes in memory of a tensor of rank 4 at its border: "nchw" as in ONNX, or "nhwc", channels last."""
    calibration: Calibration | None = None
    """What was measured of it; None where times are the roofline's."""
    precision: Precision = NO_PRECISION
    """Which forms it prefers and keeps operators in, by its own `precision` and its target's."""
    weights: tuple[WeightFormat, ...] = ()
    """Forms of constant weights that it reads as they are, beside activations in floats or wider integers."""

    @property
    def kernel_launch(self) -> float:
        """Seconds per kernel: as measured, else as stated."""
        measured = self.calibration.launch if self.calibration is not None else None
        return self.launch if measured is None else measured

    @property
    def computing_power(self) -> float | None:
        """Watts while it computes: as measured under full load, else as stated; None where neither is known."""
        return self.active_power if self.power_law is None else self.power_law.full

    @property
    def power_law(self) -> PowerModel | None:
        """What was measured of its draw as a power of its load, idle draw included; None where nothing was."""
        return self.calibration.power if self.calibration is not None else None

    @property
    def idle_watts(self) -> float:
        """Watts beside what its work draws; 0 where the file states none, and where a measured law includes them."""
        return 0.0 if self.power_law is not None else self.idle_power or 0.0

    @property
    def segment_dispatch(self) -> float:
        """Seconds to start one segment: as measured, else as stated."""
        measured = self.calibration.dispatch if self.calibration is not None else None
        return self.dispatch if measured is None else measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a tensor gets from one device to another; `a <-> b` is one Link with `both` true."""

    source: str
    destination: str
    both: bool
    via: str
    """Mechanism, e.g. iosurface."""
    zero_copy: bool
    """Whether the link offers zero copy at all."""
    zero_copy_where: Expression | None
    """Condition over the tensor (dtype, rank, last_dim_is_row …); None for always."""
    copy_bandwidth: float | None
    """Bytes per second where zero copy does not hold; None when the link cannot copy."""
    row_align: int
    align: int
    """Alignment of a tensor's first byte."""
    length_multiple: int
    """Allocated bytes are a multiple of this."""
    handoff: float
    """Seconds of synchronisation per tensor handed over."""
    origin: Origin
    zero_copy_origin: Origin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`latency <= 12 ms`, `memory peak <= 250 MiB`, `partitions npu <= 4`, `accuracy cosine >= 0.999` …"""

    kind: str
    """latency, memory, power, package, accuracy, error, partitions."""
    subject: str
    """The word between kind and comparison ("peak", "cosine", a device name), "" if none."""
    comparison: Literal["<=", ">=", "<", ">"]
    value: float
    """SI: seconds, bytes, watts, or a plain number."""
    text: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Sizes that dynamic dims are compiled for, by name: `prefill: seq 16, 64, 256`."""

    name: str
    sizes: tuple[tuple[str, tuple[int, ...]], ...]
    """(dim, its sizes); at most one dim has several, to choose from."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine as one .hw file and its includes describe it."""

    name: str
    """As the file's `target` line has it."""
    title: str
    """One line for people; "" if not said."""
    language: int
    """The `hw N;` version."""
    opset: tuple[int, int]
    """Inclusive range of ai.onnx opsets that the target's runtimes take."""
    memories: tuple[Memory, ...]
    """Sizes, budgets and bandwidths, and which devices address each."""
    devices: tuple[Device, ...]
    """Peaks, times of dispatch and launch, operator tables, rewrites."""
    links: tuple[Link, ...]
    """How tensors get from device to device, and what that costs."""
    precision: Precision
    """Which dtypes are computed in."""
    limits: tuple[Limit, ...]
    """What a plan must keep: latency, memory, power, accuracy …"""
    rules: tuple[RuleSpec, ...]
    """The file's own rewrite rules."""
    facts: tuple[Fact, ...]
    """Every number with where it stands and whether it is measured, from a data sheet or guessed."""
    digest: str
    """sha256 (hex) of the resolved target: equal meaning, equal digest; no paths and no comments in it."""
    confidence: str = ""
    """`confidence low;`: what the author thinks of the numbers; "" if not stated."""
    shapes: tuple[Bucket, ...] = ()
    """Named sizes to compile dynamic dims for (`--bucket`)."""

    def __repr__(self) -> str:
        """Short: all facts are several screens."""
        devices = ", ".join(f"{device.name} ({device.runtime.adapter})" for device in self.devices)
        return f"<Target {self.name!r}: {self.title or 'no title'}; {devices}>"

    def device(self, name: str) -> Device:
        """The device of that name; KeyError if there is none."""
        for device in self.devices:
            if device.name == name:
                return device
        raise KeyError(name)

    def memories_of(self, device: str, role: str = "") -> tuple[Memory, ...]:
        """The memories a device addresses, or those of them that may hold "weights" or "activations"."""
        return tuple(m for m in self.memories if device in m.shared and (not role or role in m.holds))

    @property
    def host(self) -> Device:
        """Where graph inputs come from and outputs go to: the device named `cpu`, else the first one that onnxruntime runs."""
        for device in self.devices:
            if device.name == "cpu":
                return device
        for device in self.devices:
            if device.runtime.adapter == "ort":
                return device
        raise KeyError("cpu")
