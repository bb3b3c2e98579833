"""Which tensors a kernel reads and writes, and how many bytes of each: what `cost.kernel_seconds` sums, tensor by tensor.

With several memories the seconds of a kernel depend on where each of its operands lies:

    t(kernel) = max(operations / (peak · sustained), bytes in memory m / bandwidth of m for every memory m)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cost import home_memory, operator_flops, peak_rate, runs_once, takes_rows, tensor_bytes, weights_memory
from ..model import Device, Memory, Target
from ..operator_view import OperatorView

PLACEABLE = 64
"""Bytes of a cache line. Tensors begin at one in each memory, and those that are smaller (scalars, axes, shapes) stay where a device has
its tensors by default."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that one kernel moves, by tensor."""

    reads: Mapping[str, float]
    writes: Mapping[str, float]


def kernel_traffic(views: Sequence[OperatorView], compute_dtype: str) -> Traffic:
    """Of operators that run as one kernel. A tensor that one of them writes and another reads moves no bytes, an operator that is only
    another view of its input none either."""
    written = {name for view in views[:-1] for name in (t.name for t in view.outputs.values())}
    inner = written & {t.name for view in views[1:] for t in view.inputs.values()}
    reads: dict[str, float] = {}
    writes: dict[str, float] = {}
    for view in (view for view in views if not runs_once(view)):
        made = sum(tensor_bytes(t, compute_dtype) for t in view.outputs.values())
        for place, tensor in enumerate(view.inputs.values()):
            size = tensor_bytes(tensor, compute_dtype)
            reads[tensor.name] = reads.get(tensor.name, 0.0) + (min(size, made) if takes_rows(view, place) else size)
        for tensor in view.outputs.values():
            writes[tensor.name] = writes.get(tensor.name, 0.0) + tensor_bytes(tensor, compute_dtype)
    return Traffic(
        {name: size for name, size in reads.items() if name not in inner}, {n: size for n, size in writes.items() if n not in inner}
    )


def arithmetic_seconds(device: Device, views: Sequence[OperatorView], compute_dtype: str) -> float:
    """Time of a kernel's operations alone."""
    return sum(operator_flops(view) for view in views if not runs_once(view)) / (peak_rate(device, compute_dtype) * device.sustained)


def other_memories(target: Target, device: str, role: str) -> tuple[Memory, ...]:
    """The memories that may hold a device's "activations" or "weights" besides the one that has them by default."""
    default = home_memory(target, device) if role == "activations" else weights_memory(target, device)
    return tuple(memory for memory in target.memories_of(device, role) if memory.name != default.name)


def has_choice(target: Target, device: str) -> bool:
    """Whether anything of a device may lie in more than one memory. Where a device was measured its runtime chose, and the rates include
    what that took."""
    return target.device(device).calibration is None and any(other_memories(target, device, role) for role in ("activations", "weights"))


def transfer_seconds(source: Memory, destination: Memory, size: float) -> float:
    """Time to copy bytes from one memory to another: at the rate of the slower one."""
    return size / min(source.bandwidth, destination.bandwidth)
