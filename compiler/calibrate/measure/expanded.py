"""Join what a runtime made of operators that it has no kernel for: it inlines their ONNX functions, under names that it makes up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .join import Joined
from .segment_kernels import Kernel

MADE_UP = re.compile(r"^(\w+?)_(\d+)(_token_\d+|_nchwc)*$")


def join_expanded(kernels: Sequence[Kernel], joined: Joined) -> Joined:
    """With the operators whose names are a kind and a number, in the order of the numbers, given to the kernels that are functions of such
    operators and have no time; only where there are exactly as many as these functions have."""
    left = _by_kind(joined.unjoined)
    seconds, taken = dict(joined.seconds), set[str]()
    for operator, numbers in _without_time(kernels, joined).items():
        for kind, times in _inlined(kernels[numbers[0]], operator).items():
            names = left.get(kind, [])
            if len(names) != times * len(numbers):
                continue
            for place, name in enumerate(names):
                number = numbers[place // times]
                seconds[number] = seconds.get(number, 0.0) + joined.unjoined[name]
            taken.update(names)
    return replace(joined, seconds=seconds, unjoined={name: time for name, time in joined.unjoined.items() if name not in taken})


def _by_kind(unjoined: Mapping[str, float]) -> dict[str, list[str]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for name in unjoined:
        match = MADE_UP.match(name)
        if match:
            found.setdefault(match[1], []).append((int(match[2]), name))
    return {kind: [name for _, name in sorted(rows)] for kind, rows in found.items()}


def _without_time(kernels: Sequence[Kernel], joined: Joined) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, kernel in enumerate(kernels):
        if number not in joined.seconds and len(kernel.views) == 1 and not kernel.views[0].domain:
            found.setdefault(kernel.views[0].operator, []).append(number)
    return found


def _inlined(kernel: Kernel, operator: str) -> Mapping[str, int]:
    """How many operators of each kind the function has; none where it is no function, or depends on more than its opset."""
    import onnx

    view = kernel.views[0]
    try:
        schema = onnx.defs.get_schema(operator, view.opset)
    except onnx.defs.SchemaError:
        return {}
    if not schema.function_body.node:
        return {}
    return Counter(node.op_type for node in schema.function_body.node if node.op_type != "Constant")
