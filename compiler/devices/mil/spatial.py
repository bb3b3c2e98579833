"""Convolution, pooling, resizing: ONNX's conventions for padding and sampling as MIL's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from ..onnx_sizes import ones, resized_shape, window_pads


def _conv(node: OnnxNode) -> Any:
    settings: dict[str, Any] = {"bias": node.constant(2)} if node.has(2) else {}
    return node.api.conv(
        x=node.operand(0),
        weight=node.operand(1),
        strides=ones(node, "strides"),
        dilations=ones(node, "dilations"),
        groups=node.attribute("group", 1),
        pad_type="custom",
        pad=window_pads(node, node.shape(1)[2:]),
        **settings,
    )


def _conv_transpose(node: OnnxNode) -> Any:
    if node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.attribute("output_shape") is not None:
        raise node.refuse("only explicit padding is converted")
    if any(node.attribute("output_padding", [])):
        raise node.refuse("output_padding is not converted")
    settings: dict[str, Any] = {"bias": node.constant(2)} if node.has(2) else {}
    return node.api.conv_transpose(
        x=node.operand(0),
        weight=node.operand(1),
        strides=ones(node, "strides"),
        dilations=ones(node, "dilations"),
        groups=node.attribute("group", 1),
        pad_type="custom",
        pad=window_pads(node, node.shape(1)[2:]),
        **settings,
    )


def _window(node: OnnxNode) -> dict[str, Any]:
    kernel = list(node.attribute("kernel_shape"))
    if set(ones(node, "dilations")) != {1} or len(node.outputs) > 1:
        raise node.refuse("dilated windows and indices are not converted")
    pads, strides = window_pads(node, kernel), ones(node, "strides")
    if node.attribute("ceil_mode", 0):
        sizes = zip(node.shape(0)[2:], kernel, strides, pads[::2], pads[1::2], strict=True)
        if any((size + before + after - window) % stride for size, window, stride, before, after in sizes):
            raise node.refuse("ceil_mode adds a window that overhangs the padding")
    return {"x": node.operand(0), "kernel_sizes": kernel, "strides": strides, "pad_type": "custom", "pad": pads}


def _average_pool(node: OnnxNode) -> Any:
    return node.api.avg_pool(**_window(node), exclude_padding_from_average=not node.attribute("count_include_pad", 0))


def _max_pool(node: OnnxNode) -> Any:
    return node.api.max_pool(**_window(node))


def _depth_to_space(node: OnnxNode) -> Any:
    block = node.attribute("blocksize")
    if node.attribute("mode", "DCR") == "CRD":
        return node.api.pixel_shuffle(x=node.operand(0), upscale_factor=block)
    return node.api.depth_to_space(x=node.operand(0), block_size=block)


def _resize(node: OnnxNode) -> Any:
    """The last two axes, static."""
    shape, target = node.shape(0), resized_shape(node)
    if len(shape) < 3 or target[:-2] != list(shape[:-2]) or node.attribute("antialias", 0) or node.attribute("exclude_outside", 0):
        raise node.refuse("only the last two axes are resized, without antialiasing")
    mode, place = node.attribute("mode", "nearest"), node.attribute("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return _nearest(node, target, place)
    modes = {"half_pixel": "UNALIGN_CORNERS", "align_corners": "STRICT_ALIGN_CORNERS", "asymmetric": "DEFAULT"}
    if mode != "linear" or place not in modes:
        raise node.refuse(f"mode {mode}, coordinates {place} are not converted")
    return node.api.resize_bilinear(
        x=node.operand(0), target_size_height=target[-2], target_size_width=target[-1], sampling_mode=modes[place]
    )


def _nearest(node: OnnxNode, target: list[int], place: str) -> Any:
    """Whole factors: floor with asymmetric coordinates and round_prefer_floor with half_pixel repeat every element equally."""
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    factors = [wanted / size for wanted, size in zip(target[-2:], node.shape(0)[-2:], strict=True)]
    if any(factor != int(factor) or factor < 1 for factor in factors):
        raise node.refuse("nearest is converted for whole factors only")
    if (place, rounding) not in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")):
        raise node.refuse(f"nearest with {place} and {rounding} is not converted")
    return node.api.upsample_nearest_neighbor(x=node.operand(0), scale_factor_height=int(factors[0]), scale_factor_width=int(factors[1]))


SPATIAL: Mapping[str, Converter] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
