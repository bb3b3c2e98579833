"""A target with one of its numbers replaced."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from autoglmc.targets.model import Device, Link, Memory, Peak, Target

T = TypeVar("T", "Memory", "Device", "Link", "Peak")


def replace_number(target: Target, path: str, value: float) -> Target:
    """The target with one number changed: path "device.npu.dispatch", "memory.dram.bandwidth", "link.npu-cpu.handoff",
    "device.npu.peak.fp16". Raises KeyError for a path that names no number of the model."""
    kind, name, *rest = path.split(".")
    if kind == "memory" and len(rest) == 1:
        return dataclasses.replace(target, memories=tuple(_swap(m, m.name == name, rest[0], value) for m in target.memories))
    if kind == "device" and rest[0] == "peak" and len(rest) == 2:
        devices = tuple(
            dataclasses.replace(d, peaks=tuple(_swap(p, p.dtype == rest[1], "rate", value) for p in d.peaks)) if d.name == name else d
            for d in target.devices
        )
        return dataclasses.replace(target, devices=devices)
    if kind == "device" and len(rest) == 1:
        return dataclasses.replace(target, devices=tuple(_swap(d, d.name == name, rest[0], value) for d in target.devices))
    if kind == "link" and len(rest) == 1:
        links = tuple(_swap(k, f"{k.source}-{k.destination}" == name, rest[0], value) for k in target.links)
        return dataclasses.replace(target, links=links)
    raise KeyError(path)


def _swap(item: T, hit: bool, field: str, value: float) -> T:
    if not hit:
        return item
    if field not in {f.name for f in dataclasses.fields(item)}:
        raise KeyError(field)
    return dataclasses.replace(item, **{field: value})  # type: ignore[arg-type]
