"""Attributes of an ONNX node, for what writes it in another format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def attribute_of(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """As Python data, text as str; `default` where the node has none of that name."""
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default
