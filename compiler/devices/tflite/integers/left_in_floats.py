"""Why what stands between DequantizeLinear and QuantizeLinear is computed in floats."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .grids import INTO, OUT, is_grid

if TYPE_CHECKING:
    import onnx

SUM = "Sum"


def why_in_floats(
    left: Sequence[onnx.NodeProto],
    producers: Mapping[str, onnx.NodeProto],
    constants: Collection[str],
    taken: Collection[str],
    without: Collection[str],
    refused: Mapping[str, str],
) -> dict[str, str]:
    """By the quantised result. left: the nodes that are in no unit of integers; taken: operators that units of integers are made of, and
    `without` those that could be and are not; refused: why a QuantizeLinear or DequantizeLinear is not converted, by its result. What also
    reads floats is no such unit."""
    found = {}
    for node in left:
        if not is_grid(node) or node.op_type != INTO or node.input[0] not in producers:
            continue
        members = list(_between(node, producers, constants))
        computing = [member for member in members if member is not None and not is_grid(member)]
        if None in members or not computing or len(members) == len(computing):
            continue
        found[node.output[0]] = _refusal(node, members, refused) or _why(computing, taken, without)
    return found


def _between(last: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto], constants: Collection[str]) -> Iterator[onnx.NodeProto | None]:
    """What computes the operand of `last`, back to and with the DequantizeLinears of what is computed; None where floats come in."""
    queue, seen = [last.input[0]], set[str]()
    for name in queue:
        if not name or name in constants or name in seen:
            continue
        seen.add(name)
        node = producers.get(name)
        if node is not None and is_grid(node) and node.op_type == OUT:
            if node.input[0] not in constants:
                yield node
        elif node is None or is_grid(node):
            yield None
        else:
            yield node
            queue += node.input


def _refusal(last: onnx.NodeProto, members: Sequence[onnx.NodeProto | None], refused: Mapping[str, str]) -> str:
    return next((refused[node.output[0]] for node in (last, *members) if node is not None and node.output[0] in refused), "")


def _why(computing: Sequence[onnx.NodeProto], taken: Collection[str], without: Collection[str]) -> str:
    kinds = dict.fromkeys(node.op_type for node in reversed(computing))
    if unknown := [kind for kind in kinds if kind not in taken and kind not in without]:
        return f"{', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not converted in integers"
    if slow := [kind for kind in kinds if kind in without]:
        return f"{', '.join(slow)} takes many operators in integers: floats are faster and more exact"
    if len(computing) > 1:
        return f"nothing is quantised between {' and '.join(kinds)}"
    (node,) = computing
    if node.op_type == SUM:
        return f"{SUM} of {len(node.input)} is not converted in integers"
    return f"{node.op_type} reads or writes numbers that are not quantised"
