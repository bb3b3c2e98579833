"""Sequences (lists of tensors) and optionals (a value or None)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .call import Call, Kernel, Value


def _position(value: Value) -> int | None:
    return None if value is None else int(np.asarray(value).ravel()[0])


def construct(call: Call) -> tuple[Value, ...]:
    return (list(call.inputs),)


def empty(call: Call) -> tuple[Value, ...]:
    return ([],)


def at(call: Call) -> tuple[Value, ...]:
    return (call.inputs[0][_position(call.inputs[1])],)


def length(call: Call) -> tuple[Value, ...]:
    return (np.asarray(len(call.inputs[0]), np.int64),)


def insert(call: Call) -> tuple[Value, ...]:
    """Before that position, or at the end."""
    items, position = list(call.inputs[0]), _position(call.input(2))
    items.insert(len(items) if position is None else position, call.inputs[1])
    return (items,)


def erase(call: Call) -> tuple[Value, ...]:
    items, position = list(call.inputs[0]), _position(call.input(1))
    items.pop(-1 if position is None else position)
    return (items,)


def split(call: Call) -> tuple[Value, ...]:
    """Into slices of one, of a stated size (the last may be smaller) or of stated sizes; keepdims counts only for slices of one."""
    x, axis, given = call.inputs[0], int(call.attributes.get("axis", 0)), call.input(1)
    size = x.shape[axis]
    if given is not None and np.ndim(given):
        cuts = np.cumsum(given)[:-1]
    else:
        step = 1 if given is None else int(given)
        cuts = np.arange(step, size, step)
    parts = np.split(x, cuts, axis=axis)
    return (parts if given is not None or call.attributes.get("keepdims", 1) else [np.squeeze(part, axis) for part in parts],)


def concat(call: Call) -> tuple[Value, ...]:
    join = np.stack if call.attributes.get("new_axis", 0) else np.concatenate
    return (join(call.inputs[0], axis=int(call.attributes["axis"])),)


def optional(call: Call) -> tuple[Value, ...]:
    return (call.input(0),)


def has_element(call: Call) -> tuple[Value, ...]:
    return (np.asarray(call.input(0) is not None),)


KERNELS: Mapping[str, Kernel] = {
    "SequenceConstruct": construct, "SequenceEmpty": empty, "SequenceAt": at, "SequenceLength": length, "SequenceInsert": insert,
    "SequenceErase": erase, "SplitToSequence": split, "ConcatFromSequence": concat, "Optional": optional,
    "OptionalHasElement": has_element, "OptionalGetElement": optional,
}  # fmt: skip
