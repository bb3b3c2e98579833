"""What a model says about itself (class labels, strides, licence): key and value texts that belong to whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..quantities import size

if TYPE_CHECKING:
    import onnx

LARGEST = 256 << 10
"""Bytes of all keys and values that a bundle takes: it is read with every manifest."""


def metadata_of(model: onnx.ModelProto) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """metadata_props by key, in the model's order, the last of a key; with a note for those that are too large. Not those of graph and
    nodes, which are notes of exporters."""
    kept: dict[str, str] = {}
    notes = []
    room = LARGEST
    for key, value in {entry.key: entry.value for entry in model.metadata_props}.items():
        taken = len(key.encode()) + len(value.encode())
        if taken > room:
            notes.append(f"metadata '{key[:80]}' ({size(taken)}) is not in the bundle, which takes {size(LARGEST)} of it")
            continue
        room -= taken
        kept[key] = value
    return kept, tuple(notes)
