"""How a tensor gets from one device to another: over which links, in which form, and what that costs. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from .dtypes import BITS, FLOATS
from .forms import CHANNELS_LAST, Form, layout_at, stored_shape, takes, written
from .model import Link, Target
from .operator_view import TensorView
from .support import link_zero_copy


@dataclass(frozen=True, slots=True)
class Hop:
    """One handoff of a tensor over one link."""

    link: Link
    producer: str
    consumer: str
    mode: Literal["zero_copy", "copy", "convert"]
    reason: str
    bytes: int
    """Bytes the consumer's slot takes, padding included."""
    seconds: float
    device_dtype: str
    """The dtype on the side that is not the model's, or on both; the tensor's where a `convert` only changes the order of the axes."""
    arrives: Form
    """In which form the consumer has it."""


def padded_bytes(tensor: TensorView, row_align: int, length_multiple: int) -> int:
    """Bytes to allocate: rows of the last axis padded to `row_align`, the whole to `length_multiple`. 0 for an unknown shape."""
    bits, shape = BITS.get(tensor.dtype), tensor.shape
    if bits is None or shape is None or any(d is None for d in shape):
        return 0
    dims = [d or 0 for d in shape]
    row = (dims[-1] * bits + 7) // 8 if dims else (bits + 7) // 8
    return _up(_up(row, row_align) * math.prod(dims[:-1]), length_multiple)


def row_align(target: Target, link: Link) -> int:
    """Bytes that rows of a tensor over the link are padded to: as the link asks and as the devices at both ends do."""
    return math.lcm(link.row_align, target.device(link.source).row_align, target.device(link.destination).row_align)


def hop(target: Target, link: Link, producer: str, consumer: str, tensor: TensorView, held: Form | None = None) -> Hop | None:
    """What it takes to hand `tensor` over one link; None if the link neither shares nor copies such a tensor. `held`: the form in which
    the producer has it, its own if it writes it.

    A `convert` is what changes the order of the axes, or a link that would share the tensor in the dtype a device computes in, but not
    in the one it is held in."""
    held = held or written(target, producer, tensor)
    layout = layout_at(target, consumer, tensor)
    size = _size(target, link, tensor, layout)
    shared, reason = link_zero_copy(link, held.dtype, tensor.shape)
    fits = held.layout == layout and takes(target, consumer, held.dtype, tensor.dtype)
    if shared and fits:
        return Hop(link, producer, consumer, "zero_copy", reason, size, link.handoff, held.dtype, held)
    if link.copy_bandwidth is None:
        return None
    seconds = link.handoff + (tensor.bytes or 0) / link.copy_bandwidth
    if not fits:
        other = held.dtype if held.layout == layout else f"{held.dtype} {held.layout}"
        reason = f"{producer} holds it in {other}, {consumer} reads {tensor.dtype} {layout}"
        return Hop(link, producer, consumer, "convert", reason, size, seconds, held.dtype, Form(tensor.dtype, layout))
    for dtype in _computed_dtypes(target, producer, consumer, tensor.dtype) if held.dtype == tensor.dtype and link.zero_copy else []:
        if link_zero_copy(link, dtype, tensor.shape)[0]:
            return Hop(link, producer, consumer, "convert", reason, size, seconds, dtype, Form(tensor.dtype, layout))
    reason = reason if link.zero_copy else f"link {link.source}-{link.destination} only copies"
    return Hop(link, producer, consumer, "copy", reason, size, seconds, held.dtype, held)


def _size(target: Target, link: Link, tensor: TensorView, layout: str) -> int:
    if layout == CHANNELS_LAST and tensor.elements is not None:
        tensor = replace(tensor, shape=stored_shape(tuple(dim or 0 for dim in tensor.shape or ()), layout))
    return padded_bytes(tensor, row_align(target, link), link.length_multiple)


def route(target: Target, producer: str, consumer: str, tensor: TensorView) -> tuple[Hop, ...] | None:
    """The cheapest chain of links from one device to another (Dijkstra, ties by device order); None if there is no chain.

    The tensor has one form on every device it comes to, that of its cheapest chain to there."""
    if producer == consumer:
        return ()
    best: dict[str, tuple[float, tuple[Hop, ...]]] = {producer: (0.0, ())}
    done: set[str] = set()
    names = [device.name for device in target.devices]
    while True:
        open_ = [name for name in names if name in best and name not in done]
        if not open_:
            return None
        here = min(open_, key=lambda name: best[name][0])
        if here == consumer:
            return best[here][1]
        done.add(here)
        seconds, hops = best[here]
        for link, there in _links_from(target, here):
            step = hop(target, link, here, there, tensor, hops[-1].arrives if hops else None)
            if step is not None and (there not in best or seconds + step.seconds < best[there][0]):
                best[there] = (seconds + step.seconds, (*hops, step))


def _links_from(target: Target, device: str) -> list[tuple[Link, str]]:
    ends = [(link, link.destination) for link in target.links if link.source == device]
    return ends + [(link, link.source) for link in target.links if link.both and link.destination == device]


def _computed_dtypes(target: Target, producer: str, consumer: str, dtype: str) -> list[str]:
    if dtype not in FLOATS:
        return []
    blocks = [block for name in (producer, consumer) for block in target.device(name).supports]
    return [d for d in dict.fromkeys(d for block in blocks for d in block.dtypes) if d in FLOATS and d != dtype]


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple if multiple > 1 else size
