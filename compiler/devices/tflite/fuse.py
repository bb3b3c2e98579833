"""Operators that LiteRT has inside others: a bias of a product, and an activation behind an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from .program import Program
from .records import Operator, Tensor

ACTIVATIONS = {"RELU": 1, "RELU6": 3}
"""Numbers of the schema's ActivationFunctionType."""
WITH_ACTIVATION = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MAX_POOL_2D", "MUL", "SUB"}
)


def fuse(program: Program, outputs: Iterable[Tensor]) -> None:
    """Where nothing else reads what lies between. Integers only where both are on one grid."""
    kept = {id(tensor) for tensor in outputs}
    reads = Counter(id(tensor) for operator in program.operators for tensor in operator.inputs if tensor is not None)
    writers: dict[int, int] = {}
    made: list[Operator | None] = []
    for operator in program.operators:
        first = operator.inputs[0]
        number = writers.get(id(first)) if first is not None and reads[id(first)] == 1 and id(first) not in kept else None
        before = None if number is None else made[number]
        joined = _with_bias(before, operator) or _with_activation(before, operator) if before is not None else None
        if joined is not None and number is not None:
            made[number] = None  # where the later one stands, all that it reads is there
        made.append(joined or operator)
        writers.update({id(tensor): len(made) - 1 for tensor in operator.outputs})
    program.operators = [operator for operator in made if operator is not None]


def _with_bias(before: Operator, after: Operator) -> Operator | None:
    """FULLY_CONNECTED without a bias, plus a constant with one number a column."""
    if before.code != "FULLY_CONNECTED" or before.inputs[2] is not None or after.code != "ADD" or after.outputs[0].dtype != "float32":
        return None
    bias, made = after.inputs[1], before.outputs[0]
    if before.options.get("fusedActivationFunction") or bias is None or bias.data is None or after.outputs[0].shape != made.shape:
        return None
    if bias.size != made.shape[-1] or (bias.shape or (1,))[-1] != bias.size:
        return None
    flat = replace(bias, shape=(bias.size,), data=bias.data.reshape(-1))
    return replace(before, inputs=(*before.inputs[:2], flat), outputs=after.outputs)


def _with_activation(before: Operator, after: Operator) -> Operator | None:
    number = ACTIVATIONS.get(after.code)
    if number is None or before.code not in WITH_ACTIVATION or before.options.get("fusedActivationFunction"):
        return None
    made, limited = before.outputs[0], after.outputs[0]
    if made.scales != limited.scales or (limited.scales is None and limited.dtype != "float32"):
        return None
    return replace(before, outputs=after.outputs, options={**before.options, "fusedActivationFunction": number})
