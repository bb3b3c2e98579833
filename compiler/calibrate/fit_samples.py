"""A measurement as arrays: distinct operators with the classes that they match, kernels of them, segments of those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...targets.calibrated_cost import activation_bytes, inner, runs_once, work
from ...targets.calibration import Block
from ...targets.cost import computed_in, kernel_seconds, weight_bytes, weights_read
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView
from ...targets.support import guard_holds
from ...targets.work.kind import kind_name, name_of
from .fit_classes import CLASSES
from .fit_layouts import layout_seconds
from .records import MeasuredKernel, MeasuredSegment

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float64]]
    Numbers = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.int64]]
    Flags = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.bool_]]

MEASURES = ("operations", "elements", "bytes")


@dataclass(frozen=True, slots=True)
class Samples:
    """Forms are distinct operators (equal operators of a model are one form); members are the operators of kernels, in order."""

    opset: int
    """The newest that the target takes."""
    forms: tuple[OperatorView, ...]
    dtypes: tuple[str, ...]
    """Of each form: what it is computed in."""
    matches: Flags
    """[form, class]: whether the line of CLASSES fits the operator."""
    amounts: Array
    """[form, measure]: work in operations, elements, bytes."""
    traffic: Array
    """[form]: bytes of its operands and results that are no constants."""
    inner: Array
    """[form]: its inner extent; 0 where it has none."""
    kinds: tuple[str, ...]
    """"Conv 2-D", "Add": distinct."""
    kind: Numbers
    """[form]: index of its kind."""
    roofline: Array
    """[form]: seconds where it has no line."""
    free: Flags
    """[form]: whether it is done when the model is loaded, or is only another view of its input."""
    member_form: Numbers
    member_kernel: Numbers
    """Of each member: its form and its kernel; ascending by kernel."""
    kernel_start: Numbers
    """Of each kernel: its first member."""
    kernel_segment: Numbers
    kernel_seconds: Array
    """Profiled, with its share of changes of layout; nan where it was not."""
    kernel_weights: Array
    """Bytes of constants read."""
    kernel_launches: Array
    """1, or 0 where all members are free."""
    segments: tuple[MeasuredSegment, ...]
    latency: Array
    """[segment]; nan where it was not measured."""
    weights: Array
    """[segment]: bytes of constants that a run reads."""


def samples_of(segments: Sequence[MeasuredSegment], target: Target, device: Device) -> Samples:
    """All segments with kernels, as arrays; work in no blocks."""
    import numpy as np

    table = _Forms(target, device)
    member_form: list[int] = []
    member_kernel: list[int] = []
    starts: list[int] = []
    kernels: list[tuple[int, float, float, float]] = []
    layouts: list[float] = []
    for index, segment in enumerate(segments):
        for kernel in segment.kernels:
            starts.append(len(member_form))
            dtype = computed_in(device, kernel.compute_dtype)
            forms = [table.number(view, dtype) for view in kernel.views]
            member_form += forms
            member_kernel += [len(kernels)] * len(forms)
            seconds = _seconds(segment, kernel)
            launches = float(any(not table.free[form] for form in forms))
            kernels.append((index, seconds, weight_bytes(kernel.views, dtype), launches))
        layouts += layout_seconds(segment)
    columns = list(zip(*kernels, strict=True)) or [(), (), (), ()]
    kinds = tuple(dict.fromkeys(map(kind_name, table.views)))
    numbered = {name: number for number, name in enumerate(kinds)}
    return Samples(
        opset=target.opset[1], forms=tuple(table.views), dtypes=tuple(table.dtypes),
        matches=np.array(table.matches, bool).reshape(-1, len(CLASSES)),
        amounts=np.array(table.amounts, float).reshape(-1, len(MEASURES)),
        traffic=np.array(table.traffic, float), inner=np.array(table.inner, float), kinds=kinds,
        kind=np.array([numbered[kind_name(view)] for view in table.views], np.int64), roofline=np.array(table.roofline, float),
        free=np.array(table.free, bool),
        member_form=np.array(member_form, np.int64), member_kernel=np.array(member_kernel, np.int64),
        kernel_start=np.array(starts, np.int64), kernel_segment=np.array(columns[0], np.int64),
        kernel_seconds=np.array(columns[1], float) + np.array(layouts, float), kernel_weights=np.array(columns[2], float),
        kernel_launches=np.array(columns[3], float), segments=tuple(segments),
        latency=np.array([float("nan") if s.latency is None else s.latency for s in segments], float),
        weights=np.array([weights_read(view for kernel in s.kernels for view in kernel.views) for s in segments], float),
    )  # fmt: skip


def _seconds(segment: MeasuredSegment, kernel: MeasuredKernel) -> float:
    """Profiled; of a segment of one kernel, all that the runtime spent, by whatever names."""
    if len(segment.kernels) == 1 and segment.unjoined:
        return (kernel.seconds or 0.0) + sum(segment.unjoined.values())
    return float("nan") if kernel.seconds is None else kernel.seconds


def with_blocks(samples: Samples, blocks: Sequence[Block]) -> Samples:
    """The same operators, their operations counted in other blocks."""
    amounts = samples.amounts.copy()
    padded = {name for block in blocks for name in block.operators}
    for form, view in enumerate(samples.forms):
        if view.operator in padded:
            amounts[form, 0] = work(view, "operations", blocks, samples.dtypes[form])
    return replace(samples, amounts=amounts)


class _Forms:
    """Distinct operators, numbered as they come."""

    def __init__(self, target: Target, device: Device) -> None:
        self._target, self._device = target, device
        self._known: dict[tuple[object, ...], int] = {}
        self.views: list[OperatorView] = []
        self.dtypes: list[str] = []
        self.matches: list[list[bool]] = []
        self.amounts: list[list[float]] = []
        self.traffic: list[float] = []
        self.inner: list[float] = []
        self.roofline: list[float] = []
        self.free: list[bool] = []

    def number(self, view: OperatorView, compute_dtype: str) -> int:
        key = (compute_dtype, *signature(view))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.views)
            self._add(view, compute_dtype)
        return found

    def _add(self, view: OperatorView, compute_dtype: str) -> None:
        name = name_of(view)
        free = runs_once(view)
        self.views.append(view)
        self.dtypes.append(compute_dtype)
        self.matches.append([name in row.operators and guard_holds(self._device, view, row.where) for row in CLASSES])
        self.amounts.append([work(view, measure, (), compute_dtype) for measure in MEASURES])  # type: ignore[arg-type]
        self.traffic.append(activation_bytes(view, compute_dtype))
        self.inner.append(inner(view) or 0.0)
        self.roofline.append(0.0 if free else kernel_seconds(self._target, self._device, (view,), compute_dtype))
        self.free.append(free)


def signature(view: OperatorView) -> tuple[object, ...]:
    """All of an operator that its time may depend on: equal for operators that only have other names."""
    operands: Mapping[str, object] = {label: (t.dtype, t.shape, t.const) for label, t in view.inputs.items()}
    results = tuple((label, t.dtype, t.shape) for label, t in view.outputs.items())
    attributes = tuple(sorted(view.attributes.items(), key=lambda item: item[0]))
    return (view.domain, view.operator, view.opset, view.quantised, attributes, tuple(operands.items()), results)
