"""Some fields of a protobuf message, without serialising the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

GRAPH, INITIALIZER = 7, 5
"""Field numbers: ModelProto.graph, GraphProto.initializer."""


def part_of(message: M, wanted: Callable[[int], bool]) -> M:
    """A new message with those fields of `message` whose number is `wanted`."""
    part: Any = type(message)()
    for field, value in message.ListFields():
        if not wanted(field.number):
            continue
        if hasattr(value, "extend"):
            getattr(part, field.name).extend(value)
        elif field.message_type is not None:
            getattr(part, field.name).CopyFrom(value)
        else:
            setattr(part, field.name, value)
    made: M = part
    return made
