"""In which form a device holds a tensor that crosses its border: dtype, and order of the axes in memory.

Every device holds a tensor in one form, whoever reads it, so that conversions add up over the devices that read it and the placement prices
them exactly: between two devices of one form nothing is converted, and each device of another form costs one conversion.
"""

from __future__ import annotations

from dataclasses import dataclass

from .dtypes import FLOATS, WIDEST_FIRST
from .model import Device, Link, Target
from .operator_view import TensorView
from .support import device_dtypes, link_zero_copy

CHANNELS_FIRST, CHANNELS_LAST = "nchw", "nhwc"


@dataclass(frozen=True, slots=True)
class Form:
    dtype: str
    layout: str
    """nhwc: a tensor of rank 4 is stored with its second axis last."""


def written(target: Target, device: str, tensor: TensorView) -> Form:
    """The form in which a device holds what it writes. The host, where inputs come from, has the model's dtype and order.

    A device that cannot compute in the tensor's dtype holds it in the one it computes in where its links ask for that: some share it so,
    none shares the model's dtype."""
    return Form(_dtype(target, target.device(device), tensor), layout_at(target, device, tensor))


def layout_at(target: Target, device: str, tensor: TensorView) -> str:
    rank = None if tensor.shape is None else len(tensor.shape)
    last = rank == 4 and target.device(device).layout == CHANNELS_LAST and not is_host(target, device)
    return CHANNELS_LAST if last else CHANNELS_FIRST


def takes(target: Target, device: str, dtype: str, model_dtype: str) -> bool:
    """Whether a device reads a tensor of the model's dtype where it is stored in the other one."""
    return dtype == model_dtype or (not is_host(target, device) and dtype in device_dtypes(target.device(device)))


def is_host(target: Target, device: str) -> bool:
    return device == target.host.name


def stored_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The extents in the order of memory."""
    return (shape[0], shape[2], shape[3], shape[1]) if layout == CHANNELS_LAST and len(shape) == 4 else shape


def _dtype(target: Target, device: Device, tensor: TensorView) -> str:
    own = device_dtypes(device)
    if tensor.dtype not in FLOATS or tensor.dtype in own or is_host(target, device.name):
        return tensor.dtype
    links = [link for link in target.links if device.name in (link.source, link.destination)]
    if any(_shares(link, tensor.dtype, tensor) for link in links):
        return tensor.dtype
    narrower = (dtype for dtype in WIDEST_FIRST if dtype in own)
    return next((dtype for dtype in narrower if any(_shares(link, dtype, tensor) for link in links)), tensor.dtype)


def _shares(link: Link, dtype: str, tensor: TensorView) -> bool:
    return link_zero_copy(link, dtype, tensor.shape)[0]
