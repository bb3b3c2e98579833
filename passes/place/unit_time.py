"""Predicted time of the operators that are placed together, on one device; and which of it lies outside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...targets.calibrated_cost import Beyond, kernel_time, runs_once
from .candidates import NATIVE, Implementation
from .kernels import group_kernels, reader_in
from .placed import DeviceAnswers


@dataclass(frozen=True, slots=True)
class Outside:
    """A kernel whose predicted time no measurement supports."""

    node: int
    """The first of its operators, by number."""
    seconds: float
    why: Beyond


@dataclass(frozen=True, slots=True)
class UnitTime:
    """Of operators as one device runs them, launches included."""

    seconds: float
    outside: tuple[Outside, ...]


def unit_time(asked: DeviceAnswers, unit: Sequence[int], column: int) -> UnitTime | None:
    """Time of a unit (numbers of nodes) on one device, or None where the device refuses a member. By the estimates of the device's own
    compiler, where there are some for all of them; else by the target's rates."""
    device, answers = asked.target.devices[column], [asked.answers[k][column] for k in unit]
    chosen = [a for a in answers if isinstance(a, Implementation)]
    if len(chosen) != len(answers):
        return None
    compiled = [asked.compiled[k, column] for k in unit if (k, column) in asked.compiled]
    if len(compiled) == len(answers):
        return UnitTime(sum(compiled), ())
    number = {id(asked.nodes[k]): k for k in unit}
    native = {id(asked.nodes[k]): a for k, a in zip(unit, chosen, strict=True) if a.rule == NATIVE and not a.carried}
    timed = [(k, a.alone(device), a.outside) for k, a in zip(unit, chosen, strict=True) if a.rule != NATIVE]
    members = [asked.nodes[k] for k in unit if id(asked.nodes[k]) in native]
    for group in group_kernels(members, device.kernels, reader_in(asked.graph, device)):
        first = native[id(group[0])]
        if len(group) == 1:
            seconds, why = first.alone(device), first.outside
        else:
            views = [native[id(node)].view or asked.view(node) for node in group]
            kernel = kernel_time(asked.target, device, views, first.compute_dtype, asked.weights)
            launch = 0.0 if all(map(runs_once, views)) else device.kernel_launch
            seconds, why = kernel.seconds + launch, kernel.outside
        timed.append((number[id(group[0])], seconds, why))
    return UnitTime(sum(seconds for _, seconds, _ in timed), tuple(Outside(k, s, why) for k, s, why in timed if why is not None))
