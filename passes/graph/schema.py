"""What the ONNX standard says about an operator: operand names, attribute defaults, first opset (from `onnx.defs`, cached), and which
operators are elementwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import onnx
from onnx import defs, helper

from ...targets.operator_view import AttributeValue

ELEMENTWISE = (
    "Abs", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish",
    "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh",
    "ThresholdedRelu",
)  # fmt: skip
"""Each output element is a function of the one input element at its place; further inputs are scalars."""


@dataclass(frozen=True, slots=True)
class Schema:
    since: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    variadic_input: bool
    variadic_output: bool
    defaults: Mapping[str, AttributeValue]


_NAMELESS = Schema(since=1, inputs=(), outputs=(), variadic_input=True, variadic_output=True, defaults={})


@lru_cache(maxsize=4096)
def schema(operator: str, domain: str, opset: int) -> Schema:
    """The schema of an operator at an opset; for an operator the standard does not know, one without names or defaults."""
    try:
        found = defs.get_schema(operator, opset, domain)
    except defs.SchemaError:
        return _NAMELESS
    defaults = {name: plain(attribute.default_value) for name, attribute in found.attributes.items() if attribute.default_value.type}
    variadic = defs.OpSchema.FormalParameterOption.Variadic
    return Schema(
        since=found.since_version,
        inputs=tuple(operand.name for operand in found.inputs),
        outputs=tuple(operand.name for operand in found.outputs),
        variadic_input=bool(found.inputs) and found.inputs[-1].option == variadic,
        variadic_output=bool(found.outputs) and found.outputs[-1].option == variadic,
        defaults={name: value for name, value in defaults.items() if value is not None},
    )


@lru_cache(maxsize=1024)
def first_opset(operator: str, domain: str = "") -> int:
    """The opset in which the operator first appeared; 0 for one the standard does not know."""
    versions = [s.since_version for s in _all_versions().get((domain, operator), ())]
    return min(versions, default=0)


@lru_cache(maxsize=1)
def _all_versions() -> Mapping[tuple[str, str], Sequence[defs.OpSchema]]:
    found: dict[tuple[str, str], list[defs.OpSchema]] = {}
    for item in defs.get_all_schemas_with_history():
        found.setdefault((item.domain, item.name), []).append(item)
    return found


def plain(attribute: onnx.AttributeProto) -> AttributeValue | None:
    """The Python value of a number, string or list attribute; None for tensors, graphs and types."""
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, onnx.TensorProto | onnx.GraphProto | onnx.SparseTensorProto | onnx.TypeProto):
        return None
    items = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
    if any(not isinstance(item, int | float | str) for item in items):
        return None
    return tuple(items)


def operand_names(names: Sequence[str], variadic: bool, count: int) -> list[str]:
    """Names for `count` operands: the schema's, the variadic last one numbered from its second use (inputs, inputs.1, …)."""
    if not names:
        return [f"operand.{k}" for k in range(count)]
    given = list(names[:count])
    last = names[-1]
    for k in range(len(given), count):
        given.append(f"{last}.{k - len(names) + 1}" if variadic else f"operand.{k}")
    return given
