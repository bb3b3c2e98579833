"""Does this device run this operator, and if not, why: the failing conjunct with its values, and the line that decides it.

How element types are read. The **data inputs** of an operator decide (those that its schema computes on: `OperatorVersion.data_inputs`).
- One of them is a float: the operator computes on floats, and a `supports` block of a float dtype must list it. Integer or boolean operands
  beside it (indices, shapes, axes, conditions, an integer exponent) are fine.
- None is: the operator computes on, or moves, integers or booleans (Add of int64, And, Reshape or Gather of token ids, Cast from
  int64), and a block of just that dtype must list it.

A float operand is computed in its own dtype where a block of that dtype lists the operator, unless `precision { compute fp16 for fp32; }`
asks for another; else in `precision`'s default, else, on a device with no block of the operand's dtype at all, in the widest
float dtype (fp16 before bf16) that the device lists the operator for. Where a `keep` names the operator, in that dtype or not at all;
a `keep` in a form of integers leaves floats to other devices.

`supports all` takes every operator of the domains that onnxruntime knows (ai.onnx, ai.onnx.ml, com.microsoft) in any dtype. Blocks of
integers beside it say which of them it computes in integers where they stand between DequantizeLinear and QuantizeLinear; the others it
runs as they stand: it dequantises, computes in floats and quantises. Without such blocks it computes all of them in integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .dtypes import BITS, FLOATS, NARROW_INTEGERS, WIDEST_FIRST
from .environment import Environment, axis_letter
from .explain import explain
from .expression import truth
from .formula import Expression, Unary, render
from .model import Device, Link, OperatorRule, SupportBlock
from .operator_view import OperatorView, TensorView
from .operators import key_of, version_at
from .origin import Origin
from .precision import Precision
from .quantised.kept import kept_dtypes, kept_in_integers

ALL_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


@dataclass(frozen=True, slots=True)
class Yes:
    compute_dtype: str
    rule: OperatorRule | None
    """The line that allows it; None under `supports all`."""


@dataclass(frozen=True, slots=True)
class No:
    reason: str
    origin: Origin | None

    def __str__(self) -> str:
        return f"{self.reason}, {self.origin}" if self.origin else self.reason


def supports(device: Device, view: OperatorView, precision: Precision) -> Yes | No:
    """Whether `device` runs `view`, in which dtype it computes, and by which line of the target; or the reason against."""
    environment = environment_of(view, device)
    refusal = _refused_body(device, view) or _denied(device, view, environment) or _refused_shape(device, view)
    return refusal or _listed(device, view, precision, environment)


def lists(device: Device, name: str) -> bool:
    """Whether the device supports the operator "Conv" or "com.microsoft::Gelu" in some form: what `native(Op)` means."""
    domain, _, operator = name.rpartition("::")
    if any(same_operator(rule, domain, operator) and rule.where is None for rule in device.denies):
        return False
    for block in device.supports:
        if block.everything and domain in ALL_DOMAINS:
            return True
        if any(same_operator(rule, domain, operator) for rule in block.rules):
            return True
    return False


def environment_of(view: OperatorView, device: Device | None = None) -> Environment:
    """What a condition in `supports`, `deny` or a `rewrite` guard may ask about this operator on this device."""
    return Environment(
        tensors={**view.outputs, **view.inputs},
        attributes=view.attributes,
        variables={"opset": view.opset, "quantised": view.quantised},
        native=None if device is None else lambda name: lists(device, name),
    )


def link_zero_copy(link: Link, dtype: str, shape: tuple[int | None, ...] | None) -> tuple[bool, str]:
    """Whether a tensor of this dtype and shape crosses the link without a copy, and why, in words.

    Conditions may ask `dtype`, `rank`, `elements`, `bytes`, `last_dim` and `last_dim_is_row`. The last is true of a tensor of rank >= 1:
    its last axis is then a run of neighbouring elements that can be padded to the link's `row`; a scalar has no such axis.
    """
    where = f", {link.zero_copy_origin}" if link.zero_copy_origin else ""
    if not link.zero_copy:
        return False, f"{link.source} to {link.destination} has no zero copy, {link.origin}"
    if link.zero_copy_where is None:
        return True, f"{link.via or 'zero copy'}{where}"
    environment = tensor_environment(dtype, shape)
    if truth(link.zero_copy_where, environment) is True:
        return True, f"{link.via or 'zero copy'}{where}"
    return False, f"{explain(link.zero_copy_where, environment)}{where}"


def tensor_environment(dtype: str, shape: tuple[int | None, ...] | None) -> Environment:
    """What a `zero_copy where` condition may ask about one tensor."""
    tensor = TensorView("tensor", dtype, shape, False)
    return Environment(
        variables={
            "dtype": None if dtype == "unknown" else dtype,
            "rank": None if shape is None else len(shape),
            "elements": tensor.elements,
            "bytes": tensor.bytes,
            "last_dim": shape[-1] if shape else None,
            "last_dim_is_row": None if shape is None else len(shape) >= 1,
        }
    )


def same_operator(rule: OperatorRule, domain: str, operator: str) -> bool:
    """Whether the rule is about that operator."""
    return rule.operator == operator and (rule.domain or "ai.onnx") == (domain or "ai.onnx")


def _refused_body(device: Device, view: OperatorView) -> No | None:
    """A control-flow operator runs whole on one device: it and all its bodies contain must be supported by name."""
    if not view.has_body or takes_all(device):
        return None
    for name in (key_of(view.domain, view.operator), *sorted(view.functions)):
        if not lists(device, name):
            return No(f"its body needs `{name}`, which is not in {device.name}'s table", device.origin)
    return None


def _denied(device: Device, view: OperatorView, environment: Environment) -> No | None:
    for rule in device.denies:
        if not same_operator(rule, view.domain, view.operator):
            continue
        name = key_of(view.domain, view.operator)
        if rule.where is None:
            return No(f"`{name}` is denied", rule.origin)
        verdict = truth(rule.where, environment)
        if verdict is True:
            return No(f"`{name}` is denied where {_because(rule, environment)}", rule.origin)
        if verdict is None:
            return No(f"`{name}` may be denied: {explain(rule.where, environment)}", rule.origin)
    return None


def _because(rule: OperatorRule, environment: Environment) -> str:
    """The true condition of a deny, with its values: what `explain` says of its negation, less the verdict."""
    assert rule.where is not None
    values = explain(Unary("not", rule.where), environment).partition(" is false ")[2]
    return f"{render(rule.where)} {values}".rstrip()


def _tensors(view: OperatorView) -> Iterator[tuple[str, TensorView]]:
    yield from view.inputs.items()
    yield from view.outputs.items()


def _refused_shape(device: Device, view: OperatorView) -> No | None:
    limits = dict(device.max_dims)
    for name, tensor in _tensors(view):
        if device.static_shapes and (tensor.shape is None or None in tensor.shape):
            return No(f"{device.name} needs static shapes and the shape of {name} (`{tensor.name}`) is not known", device.origin)
        if device.max_rank is not None:
            if tensor.shape is None:
                return No(f"rank({name}) <= {device.max_rank} cannot be decided (rank of `{tensor.name}` is unknown)", device.origin)
            if len(tensor.shape) > device.max_rank:
                return No(f"rank({name}) <= {device.max_rank} is false (rank({name}) = {len(tensor.shape)})", device.origin)
        if limits and (refusal := _refused_dim(device, name, tensor, limits)):
            return refusal
    return None


def _refused_dim(device: Device, name: str, tensor: TensorView, limits: dict[str, int]) -> No | None:
    shape = tensor.shape or ()
    for axis, dim in enumerate(shape):
        letter = axis_letter(len(shape), axis)
        limit = limits.get(letter)
        if limit is None:
            continue
        if dim is None:
            return No(f"dim({name}, {letter}) <= {limit} cannot be decided ({letter} of `{tensor.name}` is unknown)", device.origin)
        if dim > limit:
            return No(f"dim({name}, {letter}) <= {limit} is false ({letter} = {dim})", device.origin)
    return None


def data_dtypes(view: OperatorView) -> tuple[str, ...]:
    """Dtypes of the tensors that decide the compute dtype, in operand order: data inputs, else (Constant, RandomNormal) outputs."""
    version = version_at(key_of(view.domain, view.operator), view.opset) if view.domain in ("", "ai.onnx") else None
    if version is None:
        tensors = list(view.inputs.values())
        if view.domain == "com.microsoft" and view.operator.startswith(("QLinear", "QGemm")):  # no schema tells scales and biases apart
            tensors = [tensor for tensor in tensors if tensor.dtype in NARROW_INTEGERS]
    else:
        data = set(version.data_inputs)
        tensors = [tensor for name, tensor in view.inputs.items() if name.partition(".")[0] in data]
    tensors = tensors or list(view.inputs.values()) or list(view.outputs.values())
    return tuple(dict.fromkeys(tensor.dtype for tensor in tensors))


def _listed(device: Device, view: OperatorView, precision: Precision, environment: Environment) -> Yes | No:
    dtypes = data_dtypes(view)
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    operand = floats[0] if floats else (dtypes[0] if dtypes else "unknown")
    name = key_of(view.domain, view.operator)
    kept = kept_dtypes(device, name, precision, environment) if floats else ()
    if floats and (line := kept_in_integers(device, name, environment)):
        return No(f"`{name}` is kept in {line.form} on {device.name}, and these operands are floats", line.origin)
    if view.domain in ALL_DOMAINS and takes_all(device):
        if view.quantised and not NARROW_INTEGERS.isdisjoint(device_dtypes(device)):
            return _in_integers(device, view, environment)
        return Yes(kept[0] if kept else operand, None)
    if not any(same_operator(rule, view.domain, view.operator) for block in device.supports for rule in block.rules):
        return No(f"`{name}` is not in {device.name}'s table", device.origin)
    wanted = float_choices(device, floats, precision) if floats else tuple(dtype for dtype in dtypes if dtype in BITS)
    if not wanted:
        return No(f"`{name}` on {operand} is not something {device.name} computes", device.origin)
    if kept:
        answer = _first_listed(device, view, kept, kept[0], environment)
        return answer if isinstance(answer, Yes) else No(f"{answer.reason}, and it is kept in {', '.join(kept)}", answer.origin)
    if not floats and len(wanted) > 1:
        return _needs_each(device, view, wanted, environment)
    return _first_listed(device, view, wanted, operand, environment)


def _in_integers(device: Device, view: OperatorView, environment: Environment) -> Yes | No:
    """A quantised operator, on a device whose blocks beside `supports all` name those that it has integer kernels for."""
    name, dtypes = key_of(view.domain, view.operator), tuple(dtype for dtype in data_dtypes(view) if dtype in BITS)
    listing = [block.origin for block in device.supports if any(same_operator(rule, view.domain, view.operator) for rule in block.rules)]
    if not listing:
        return No(f"{device.name} has no integer kernel for `{name}`", device.origin)
    answer = _needs_each(device, view, dtypes, environment)
    return Yes(dtypes[0], answer.rule) if isinstance(answer, Yes) else answer


def takes_all(device: Device) -> bool:
    """Whether it runs every operator in some way."""
    return any(block.everything for block in device.supports)


def float_choices(device: Device, floats: list[str], precision: Precision) -> tuple[str, ...]:
    """Compute dtypes to try for operands of these float dtypes, best first."""
    own = device_dtypes(device)
    asked = [into for into, operand in precision.compute if operand in floats]
    widest = max(floats, key=lambda dtype: (BITS[dtype], dtype))
    choices = asked + [widest] + ([precision.default] if precision.default in FLOATS else [])
    if widest not in own:
        choices += [dtype for dtype in WIDEST_FIRST if dtype in own]
    return tuple(dict.fromkeys(choice for choice in choices if choice is not None))


def device_dtypes(device: Device) -> tuple[str, ...]:
    """Every dtype some `supports` block of the device names, in the order of the file."""
    return tuple(dict.fromkeys(dtype for block in device.supports for dtype in block.dtypes))


def rules_for(device: Device, view: OperatorView, dtype: str) -> list[OperatorRule]:
    """The lines about the operator in blocks of that dtype."""
    blocks: list[SupportBlock] = [block for block in device.supports if dtype in block.dtypes]
    return [rule for block in blocks for rule in block.rules if same_operator(rule, view.domain, view.operator)]


def _first_listed(device: Device, view: OperatorView, wanted: tuple[str, ...], operand: str, environment: Environment) -> Yes | No:
    """The first dtype whose rules allow the operator; else why the first listed rule does not."""
    refused: list[tuple[str, OperatorRule]] = []
    for dtype in wanted:
        for rule in rules_for(device, view, dtype):
            if rule.where is None or truth(rule.where, environment) is True:
                return Yes(dtype, rule)
            refused.append((explain(rule.where, environment), rule))
    if refused:
        reasons = dict.fromkeys(reason for reason, _ in refused)
        return No("; and ".join(reasons), refused[0][1].origin)
    return _no_dtype(device, view, operand)


def _needs_each(device: Device, view: OperatorView, wanted: tuple[str, ...], environment: Environment) -> Yes | No:
    answer: Yes | No = _no_dtype(device, view, wanted[0])
    for dtype in wanted:
        answer = _first_listed(device, view, (dtype,), dtype, environment)
        if isinstance(answer, No):
            return answer
    return answer


def _no_dtype(device: Device, view: OperatorView, operand: str) -> No:
    name = key_of(view.domain, view.operator)
    listing = [block for block in device.supports if any(same_operator(rule, view.domain, view.operator) for rule in block.rules)]
    offered = ", ".join(dict.fromkeys(dtype for block in listing for dtype in block.dtypes))
    return No(f"`{name}` of {operand}: {device.name}'s table lists it for {offered} only", listing[0].origin if listing else device.origin)


def guard_holds(device: Device, view: OperatorView, where: Expression | None) -> bool:
    """Whether the guard of a rewrite line is known to hold for this operator on this device."""
    return where is None or truth(where, environment_of(view, device)) is True
