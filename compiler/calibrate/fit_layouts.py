"""Whose time it is that a runtime spends on changing layouts.

CPU runtimes keep images in blocks of channels for convolutions, and reorder tensors where an operator asks for the plain layout
(onnxruntime's ReorderInput and ReorderOutput: up to 18 % of a network, 1 % of most). A profile names such steps, the emitted segment does
not show them. They are charged to the operators that make them necessary, by the bytes that these read and write, so that the lines
of these say what it costs to have one in a network.
"""

from __future__ import annotations

from ...targets.calibrated_cost import activation_bytes
from ...targets.cost import runs_once
from ...targets.operator_view import OperatorView
from .records import MeasuredKernel, MeasuredSegment

STEPS = ("reorder", "transpose")
"""What a runtime's names for such steps contain."""
PLAIN = frozenset({
    "Concat", "ConvTranspose", "DepthToSpace", "HardSwish", "InstanceNormalization", "LayerNormalization", "Pad", "PRelu", "Slice",
    "SpaceToDepth", "Split", "Transpose",
})  # fmt: skip
"""Operators that ask for the plain layout of images."""
BROADCAST = frozenset({"Add", "Sub", "Mul", "Div"})
"""So do these where one operand is not as large as the other: a gate."""
GROUP_BLOCK = 16
"""And convolutions in groups of more than one channel, and of no multiple of this."""


def layout_seconds(segment: MeasuredSegment) -> list[float]:
    """Of each kernel of a segment, in order: its share of what was spent on layouts; 0 where nothing explains it. A single kernel has all
    of its runtime's time already."""
    spent = sum(seconds for name, seconds in segment.unjoined.items() if any(step in name.lower() for step in STEPS))
    if not spent or len(segment.kernels) == 1:
        return [0.0] * len(segment.kernels)
    moved = [_moved(kernel) for kernel in segment.kernels]
    total = sum(moved)
    return [spent * one / total for one in moved] if total else moved


def _moved(kernel: MeasuredKernel) -> float:
    return max((activation_bytes(view, kernel.compute_dtype) for view in kernel.views if asks_for_plain(view)), default=0.0)


def asks_for_plain(view: OperatorView) -> bool:
    """Whether it reads or writes images, and not in blocks of channels."""
    shapes = [tensor.shape for tensor in view.inputs.values() if tensor.shape is not None]
    result = next(iter(view.outputs.values())).shape if view.outputs else None
    if view.domain or runs_once(view) or result is None or (len(result) != 4 and not (shapes and len(shapes[0]) == 4)):
        return False
    if view.operator == "Conv":
        inside = shapes[1][1] if len(shapes) > 1 and len(shapes[1]) == 4 else None
        return view.attributes.get("group", 1) != 1 and inside is not None and inside > 1 and inside % GROUP_BLOCK != 0
    if view.operator == "Resize":
        return view.attributes.get("mode", "nearest") != "nearest"
    if view.operator in BROADCAST:
        return len(result) == 4 and result[-1] != 1 and len(set(shapes)) > 1
    return view.operator in PLAIN
