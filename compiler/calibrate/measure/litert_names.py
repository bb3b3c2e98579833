"""Which operators of a .tflite file the events of LiteRT's profiler are about: its own say so by number, XNNPACK's by their kinds and their
order alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...devices.litert.operators import FileOperator
from ...devices.litert.profiler import Event
from .join import LAYOUT, Reported

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

KINDS: Mapping[str, frozenset[str]] = {
    tag: frozenset(codes.split())
    for tag, codes in {
        "Abs": "ABS", "Add": "ADD", "ApproxGELU": "GELU", "Average Pooling": "AVERAGE_POOL_2D MEAN", "Bankders Rounding": "ROUND",
        "Batch Matrix Multiply": "BATCH_MATMUL", "Ceiling": "CEIL", "Clamp": "RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 MINIMUM MAXIMUM",
        "Constant Pad": "PAD PADV2", "Convert": "QUANTIZE DEQUANTIZE CAST", "Convolution": "CONV_2D DEPTHWISE_CONV_2D",
        "Convolution DWConv": "DEPTHWISE_CONV_2D", "Copy": "RESHAPE CONCATENATION SPLIT SPLIT_V EXPAND_DIMS SQUEEZE", "Cosine": "COS",
        "Deconvolution": "TRANSPOSE_CONV", "Depth To Space": "DEPTH_TO_SPACE", "Divide": "DIV",
        "Dynamic Fully Connected": "FULLY_CONNECTED", "ELU": "ELU", "Exp": "EXP", "Floor": "FLOOR",
        "Fully Connected": "FULLY_CONNECTED CONV_2D", "GELU": "GELU", "HardSwish": "HARD_SWISH", "LeakyReLU": "LEAKY_RELU", "Log": "LOG",
        "Max Pooling": "MAX_POOL_2D", "Maximum": "MAXIMUM", "Mean": "MEAN", "Mean Squared": "MEAN", "Minimum": "MINIMUM",
        "Multiply": "MUL", "Negate": "NEG", "Normalize": "SUM", "PReLU": "PRELU", "Power": "POW", "Reciprocal Square Root": "RSQRT",
        "Reduce Max": "REDUCE_MAX", "Reduce Min": "REDUCE_MIN", "Resize Bilinear": "RESIZE_BILINEAR", "Sigmoid": "LOGISTIC",
        "Sign": "SIGN", "Sine": "SIN", "Slice": "SLICE STRIDED_SLICE SPLIT SPLIT_V", "Softmax": "SOFTMAX",
        "Space To Depth": "SPACE_TO_DEPTH", "Square": "SQUARE MUL", "Square Root": "SQRT", "Squared Difference": "SQUARED_DIFFERENCE",
        "Static Reshape": "RESHAPE", "Subtract": "SUB", "Sum": "SUM", "TanH": "TANH", "Transpose": "TRANSPOSE",
    }.items()
}  # fmt: skip
"""XNNPACK's name of an operator, up to the bracket (and the kernel's behind it where there is a row of that), and what LiteRT calls what it
computes. A convolution of one pixel is a product there, a sum of squares a "Normalize"."""
BEHIND = frozenset({"Clamp"})
"""What XNNPACK runs as an operator of its own behind one that has it inside in the file: an activation."""
CHANNELS_LAST = frozenset({
    "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "MAX_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
    "SPACE_TO_DEPTH", "TRANSPOSE_CONV",
})  # fmt: skip
"""What reads and writes NHWC alone, for which the emitter turns the inputs and outputs of a file."""
ADDED = re.compile(r"(\.\d+|\.reshaped|\.transposed)+$")
"""What the emitter puts behind the name of the ONNX tensor that a tensor helps to compute."""
FOLLOWING = 4
"""Operators behind one that writes no tensor of the segment (a transposed input), to the first of which that is known it belongs."""


def reported(runs: Sequence[Sequence[Event]], operators: Sequence[FileOperator]) -> list[list[Reported]]:
    """Of each run, the events under the names of the tensors that their operators write. One that is no operator of the file (XNNPACK adds
    transposes and copies) is near to those between which it ran."""
    named: dict[tuple[tuple[str, bool, int], ...], list[Reported]] = {}
    found = []
    for events in runs:
        order = tuple((event.kind, event.delegated, event.index) for event in events)
        if order not in named:  # once for hundreds of runs: the alignment takes longer than a run of most models
            named[order] = _named(events, operators)
        found.append([replace(one, seconds=event.microseconds * 1e-6) for one, event in zip(named[order], events, strict=True)])
    return found


def _named(events: Sequence[Event], operators: Sequence[FileOperator]) -> list[Reported]:
    """Without their seconds."""
    taken, layouts = _aligned(events, operators), _at_the_borders(operators)
    found = []
    for number, event in enumerate(events):
        index = taken[number]
        own = Reported(f"{event.kind} {number}", 0.0, kind=event.kind)
        if index is not None:
            behind = operators[index + 1 : index + 1 + FOLLOWING]
            own = replace(own, kind=LAYOUT) if index in layouts else own
            found.append(replace(own, others=tuple(_names([operators[index]])), near=tuple(_names(behind))))
        else:
            beside = [operators[k] for k in _beside(number, taken, len(operators), event.kind.split(" (")[0] in BEHIND)]
            found.append(replace(own, near=tuple(_names(beside))))
    return found


def _at_the_borders(operators: Sequence[FileOperator]) -> frozenset[int]:
    """Of TRANSPOSEs that turn what the file reads or writes for operators that work channels last."""
    if not any(operator.code in CHANNELS_LAST for operator in operators):
        return frozenset()
    written = {name for operator in operators for name in operator.writes}
    read = {name for operator in operators for name in operator.reads}
    turns = [(index, one) for index, one in enumerate(operators) if one.code == "TRANSPOSE"]
    return frozenset(index for index, one in turns if one.reads[0] not in written or one.writes[0] not in read)


def _names(operators: Sequence[FileOperator]) -> Iterator[str]:
    """Of the tensors that they write, and of the ONNX tensors that these help to compute."""
    for operator in operators:
        for name in operator.writes:
            yield from dict.fromkeys((name, ADDED.sub("", name)))


def _aligned(events: Sequence[Event], operators: Sequence[FileOperator]) -> list[int | None]:
    """The operator of each event. XNNPACK's are paired in order with those that LiteRT does not report itself: as many as have the same
    kind, the longest common subsequence; then what is left."""
    found: list[int | None] = [None if event.delegated else event.index for event in events]
    own = {event.index for event in events if not event.delegated}
    rest = [index for index in range(len(operators)) if index not in own]
    theirs = [number for number, event in enumerate(events) if event.delegated]
    fits, best = _common([events[number].kind for number in theirs], [operators[index].code for index in rest])
    i = j = 0
    while i < len(theirs) and j < len(rest):
        if fits[i, j] and best[i, j] == best[i + 1, j + 1] + 1:
            found[theirs[i]], i, j = rest[j], i + 1, j + 1
        elif best[i, j] == best[i, j + 1]:
            j += 1
        else:
            i += 1
    _pair_the_rest(events, operators, found)
    return found


def _pair_the_rest(events: Sequence[Event], operators: Sequence[FileOperator], found: list[int | None]) -> None:
    """XNNPACK may run branches in another order than the file has them: what is left of both is paired where the kinds fit."""
    free = [index for index in range(len(operators)) if index not in set(found)]
    for number, event in enumerate(events):
        if found[number] is None:
            index = next((index for index in free if operators[index].code in _codes(event.kind)), None)
            if index is not None:
                found[number] = index
                free.remove(index)


def _codes(kind: str) -> frozenset[str]:
    """What LiteRT may call an operator of that kind: "Convolution (NHWC, F32) DWConv"."""
    name, _, rest = kind.partition(" (")
    return KINDS.get(f"{name} {rest.partition(') ')[2]}") or KINDS.get(name, frozenset())


def _common(kinds: Sequence[str], codes: Sequence[str]) -> tuple[Array, Array]:
    """Which kinds of events fit which codes of operators, and from every pair of places on how many can be paired in order."""
    import numpy

    rows = {kind: numpy.isin(codes, sorted(_codes(kind))) for kind in set(kinds)}
    fits = numpy.array([rows[kind] for kind in kinds], bool).reshape(len(kinds), len(codes))
    best = numpy.zeros((len(kinds) + 1, len(codes) + 1), numpy.int32)
    for i in reversed(range(len(kinds))):  # row by row: an unrolled LSTM has thousands of both
        paired = numpy.maximum(best[i + 1, :-1], best[i + 1, 1:] + fits[i])
        best[i, :-1] = numpy.maximum.accumulate(paired[::-1])[::-1]
    return fits, best


def _beside(number: int, taken: Sequence[int | None], operators: int, of_the_one_before: bool) -> list[int]:
    """Operators that the event may belong to: those that no event is about, from the one before to the one behind, then these two; or the
    one before first."""
    known = {index for index in taken if index is not None}
    before = next((index for index in reversed(taken[:number]) if index is not None), -1)
    behind = next((index for index in taken[number:] if index is not None), operators)
    between = [index for index in range(before + 1, behind) if index not in known]
    order = (before, *between, behind) if of_the_one_before else (*between, behind, before)
    return [index for index in order if 0 <= index < operators]
