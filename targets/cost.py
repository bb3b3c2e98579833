"""Predicted time: the roofline of an operator on a device. Pure functions.

    t(operator) = max(operations / (peak · sustained), bytes moved / bandwidth), the second for each memory that the bytes lie in

(Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009). `launch` per kernel and `dispatch` per segment are added by
whoever knows the grouping. Operations count a multiply-add as two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .calibration import Measure
from .dtypes import BITS, FLOATS
from .model import Device, Memory, Target
from .operator_view import OperatorView, TensorView
from .operators import key_of
from .work.extents import FREE as FREE
from .work.extents import HANDLES, bounded
from .work.integers import in_plain_spelling
from .work.operations import CONTRACTIONS, COUNTERS, MOVES
from .work.operations import operator_flops as operator_flops

BODIED = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators whose work is that of their bodies."""
KEPT = frozenset({"DequantizeLinear", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout"})
"""Operators that no runtime folds though their inputs are constants: weights in integers are kept so, random numbers differ by run."""
BLOCKS = "com.microsoft::GatherBlockQuantized"
INDEXED = frozenset({"Gather", "GatherElements", "GatherND", "Slice", "Split", BLOCKS})
"""Operators that read only as much of their data operand as they write."""

WIDENING = frozenset({"com.microsoft::GroupQueryAttention"})
"""Operators whose kernel makes wider floats of caches in each run, head by head, where it computes in such: onnxruntime 1.32 on the CPU
(`MlasConvertHalfToFloatBuffer` in gqa_attention_base.h). They are read, written wider and read again; what is added is narrowed."""


def runs_once(view: OperatorView) -> bool:
    """Whether a run does nothing for it: it is another view of its input, or a runtime computes it when the model is loaded, as all its
    inputs are constants. Weights are dequantised in every run, or inside the operators that read them."""
    if view.operator in FREE and not view.domain:
        return True
    return bool(view.inputs) and view.operator not in KEPT and not view.has_body and all(tensor.const for tensor in view.inputs.values())


def measures_of(domain: str, operator: str) -> frozenset[Measure]:
    """In what the work of an operator can be counted so that the count follows its size: operations of what contracts axes, bytes of what
    only moves them, else elements or bytes. Anything of an operator that is not known here."""
    if operator in MOVES or operator in FREE:
        return frozenset({"bytes"})
    if operator in CONTRACTIONS and domain in ("", "com.microsoft"):
        return frozenset({"operations", "bytes"})
    if domain or operator in COUNTERS or operator in BODIED:
        return frozenset({"operations", "elements", "bytes"})
    return frozenset({"elements", "bytes"})


def takes_rows(view: OperatorView, place: int) -> bool:
    """Whether it reads no more of the operand there than it writes: of a table in blocks, of scales and zero points as well."""
    key = key_of(view.domain, view.operator)
    return key in INDEXED and (place == 0 or (key == BLOCKS and place != 1))


def operator_bytes(view: OperatorView, compute_dtype: str) -> float:
    """Bytes read and written once each, floats counted at the width the device computes in."""
    if view.bodies:
        return (view.trips or 0) * max(sum(operator_bytes(inner, compute_dtype) for inner in body) for body in view.bodies)
    if (view.operator in FREE or view.operator in HANDLES) and not view.domain:
        return 0.0
    if key_of(view.domain, view.operator) in WIDENING:
        return _widened_bytes(view, compute_dtype)
    view = in_plain_spelling(bounded(view))
    written = sum(tensor_bytes(t, compute_dtype) for t in view.outputs.values())
    operands = list(view.inputs.values())
    read = [tensor_bytes(tensor, compute_dtype) for tensor in operands]
    return written + sum(min(size, written) if takes_rows(view, place) else size for place, size in enumerate(read))


def _widened_bytes(view: OperatorView, compute_dtype: str) -> float:
    total = 0.0
    for tensor in view.inputs.values():
        stored, computed = tensor.bytes or 0.0, tensor_bytes(tensor, compute_dtype)
        total += computed if stored >= computed else stored + 2 * computed
    return total + sum(min(tensor.bytes or 0.0, tensor_bytes(tensor, compute_dtype)) for tensor in view.outputs.values())


def kernel_seconds(target: Target, device: Device, views: Sequence[OperatorView], compute_dtype: str) -> float:
    """Roofline time of operators that run as one kernel (often one operator), without launch: a tensor that one of them writes and
    another reads stays inside and moves no bytes, and what is computed once, when the model is loaded, takes no time."""
    views = [view for view in views if not runs_once(view)]
    if not views:
        return 0.0
    if any(key_of(view.domain, view.operator) in WIDENING for view in views):
        compute_dtype = computed_in(device, compute_dtype)
    rate = peak_rate(device, compute_dtype) * device.sustained
    weights = weight_bytes(views, compute_dtype) if has_own_weights(target, device.name) else 0.0
    written = {t.name: t for view in views[:-1] for t in view.outputs.values()}
    read = {t.name for view in views[1:] for t in view.inputs.values()}
    inner = sum(tensor_bytes(t, compute_dtype) for name, t in written.items() if name in read)
    moved = sum(operator_bytes(view, compute_dtype) for view in views) - 2 * inner
    flops = sum(operator_flops(view) for view in views)
    streamed = weights / weights_memory(target, device.name).bandwidth if weights else 0.0
    return max(flops / rate, max(moved - weights, 0.0) / home_memory(target, device.name).bandwidth, streamed)


def weight_bytes(views: Sequence[OperatorView], compute_dtype: str) -> float:
    """Bytes of constants that the operators read, as `operator_bytes` counts them."""
    total = 0.0
    for view in map(in_plain_spelling, views):
        operands = list(view.inputs.values())
        if view.operator in FREE and not view.domain:
            continue
        written = sum(tensor_bytes(t, compute_dtype) for t in view.outputs.values())
        read = {place: tensor_bytes(tensor, compute_dtype) for place, tensor in enumerate(operands) if tensor.const}
        total += sum(min(size, written) if takes_rows(view, place) else size for place, size in read.items())
    return total


def weights_read(views: Iterable[OperatorView]) -> float:
    """Bytes of constants that one run reads, as they are stored, each tensor once. Of a table that operators only take rows from, such as
    that of an embedding, no more than they take."""
    found: dict[str, float] = {}
    for view in views:
        if view.bodies:
            found[f"bodies of {view.name}"] = sum(map(weights_read, view.bodies))
        if runs_once(view):
            continue
        for place, tensor in enumerate(view.inputs.values()):
            if tensor.const:
                most = sum(t.bytes or 0 for t in view.outputs.values()) if takes_rows(view, place) else math.inf
                found[tensor.name] = max(found.get(tensor.name, 0.0), min(tensor.bytes or 0.0, most))
    return float(sum(found.values()))


def peak_rate(device: Device, dtype: str) -> float:
    """Peak operations per second for a dtype, with and without a sign alike: multipliers of 8 bits take either. A dtype the file gives no
    peak for is charged at the device's slowest stated one."""
    for wanted in (dtype, dtype.removeprefix("u") if dtype.startswith("uint") else f"u{dtype}"):
        for peak in device.peaks:
            if peak.dtype == wanted:
                return peak.rate
    return min(peak.rate for peak in device.peaks)


def computed_in(device: Device, dtype: str) -> str:
    """The dtype that a device computes floats of this one in: itself where the device states a peak for it, else fp32 if it states that. A
    runtime widens them, constants once and for all, so that the bytes it moves are of the wider ones."""
    stated = {peak.dtype for peak in device.peaks}
    return "fp32" if dtype in FLOATS and dtype not in stated and "fp32" in stated else dtype


def home_memory(target: Target, device: str) -> Memory:
    """The memory a device's activations live in: the largest budget of those that hold them. KeyError if it shares none."""
    return _largest(target.memories_of(device, "activations"), device)


def weights_memory(target: Target, device: str) -> Memory:
    """The memory a device reads its weights from: where its activations live if that holds both, else the largest budget of those that
    hold weights. KeyError if it shares none."""
    home = home_memory(target, device)
    return home if "weights" in home.holds else _largest(target.memories_of(device, "weights"), device)


def has_own_weights(target: Target, device: str) -> bool:
    """Whether weights are read from another memory than activations; the two are then read side by side."""
    return weights_memory(target, device).name != home_memory(target, device).name


def _largest(memories: Sequence[Memory], device: str) -> Memory:
    if not memories:
        raise KeyError(device)
    return max(memories, key=lambda memory: (memory.budget, memory.name))


def limiting_memory(target: Target, device: Device, view: OperatorView, compute_dtype: str) -> Memory | None:
    """The memory that sets the operator's time; None where arithmetic does."""
    home, store = home_memory(target, device.name), weights_memory(target, device.name)
    moved = operator_bytes(view, compute_dtype)
    weights = weight_bytes((view,), compute_dtype) if store.name != home.name else 0.0
    seconds, memory = max((((moved - weights) / home.bandwidth, home), (weights / store.bandwidth, store)), key=lambda found: found[0])
    arithmetic = operator_flops(view) / (peak_rate(device, compute_dtype) * device.sustained)
    return None if arithmetic > seconds else memory


def tensor_bytes(tensor: TensorView, compute_dtype: str) -> float:
    if tensor.dtype in FLOATS and compute_dtype in FLOATS:
        return (tensor.elements or 0) * BITS[compute_dtype] / 8
    return tensor.bytes or 0
