"""What would have to change in a device's table for it to take an operator: the fewest lines, one after the other, each really applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .dtypes import BITS, FLOATS
from .environment import axis_letter
from .expression import truth
from .formula import Expression, render
from .model import Device, OperatorRule, SupportBlock
from .operator_view import OperatorView, TensorView
from .operators import key_of, versions_of
from .origin import Origin
from .precision import Precision
from .support import Yes, data_dtypes, environment_of, float_choices, lists, rules_for, same_operator, supports
from .widen import widen

MOST_EDITS = 8


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of the target to write otherwise."""

    text: str
    """What it would say: "Conv where rank(X) == 4;"."""
    instead: str
    """Its text now; "" for a line that is added."""
    origin: Origin
    """The line, or for a new one the block it goes into."""
    operator: str = ""
    """What a line that is added names."""

    def __str__(self) -> str:
        """What a message says of it."""
        return f"`{self.text}`" if self.text else f"delete `{self.instead};`"


def admit(device: Device, view: OperatorView, precision: Precision) -> tuple[Device, tuple[Edit, ...]] | None:
    """The device with the lines changed that keep it from running `view`, and which; None where no line could (a shape that is not
    known, a dtype without a name). No edits where it runs it already."""
    edits: list[Edit] = []
    while not isinstance(supports(device, view, precision), Yes):
        step = _step(device, view, precision)
        if step is None or len(edits) == MOST_EDITS:
            return None
        device, edit = step
        edits.append(edit)
    return device, tuple(edits)


def admit_all(device: Device, views: Sequence[OperatorView], precision: Precision) -> tuple[Device, tuple[Edit, ...]] | None:
    """`admit` for several operators; of a line that had to change twice only the last form is listed."""
    edits: list[Edit] = []
    for view in views:
        step = admit(device, view, precision)
        if step is None:
            return None
        device, more = step
        for edit in more:
            edits = [old for old in edits if not edit.instead or old.text != edit.instead]
            edits.append(edit)
    return device, tuple(dict.fromkeys(edits))


def opsets_for(edits: Sequence[Edit], opset: tuple[int, int]) -> tuple[int, int] | None:
    """The range of opsets in which the operators that edits add may be named (HW0404), widened upwards; None where there is none."""
    low, high = opset
    for name in (edit.operator for edit in edits if edit.operator and "::" not in edit.operator):
        versions = versions_of(name)
        if not versions or any(version.deprecated and version.since <= low for version in versions):
            return None
        high = max(high, versions[0].since)
    return low, high


def _step(device: Device, view: OperatorView, precision: Precision) -> tuple[Device, Edit] | None:
    """The first obstacle out of the way, in the order in which `supports` asks."""
    return _body(device, view) or _undenied(device, view) or _shape(device, view) or _listed(device, view, precision)


def _body(device: Device, view: OperatorView) -> tuple[Device, Edit] | None:
    if not view.has_body:
        return None
    for name in (key_of(view.domain, view.operator), *sorted(view.functions)):
        if not lists(device, name) and not any(same_operator(rule, *_split(name)) for rule in device.denies):
            return _added(device, name, _dtype_of_table(device))
    return None


def _undenied(device: Device, view: OperatorView) -> tuple[Device, Edit] | None:
    environment = environment_of(view, device)
    for rule in device.denies:
        if same_operator(rule, view.domain, view.operator) and (rule.where is None or truth(rule.where, environment) is not False):
            kept = tuple(other for other in device.denies if other is not rule)
            return replace(device, denies=kept), Edit("", f"deny {_written(view, rule.where)}", rule.origin)
    return None


def _shape(device: Device, view: OperatorView) -> tuple[Device, Edit] | None:
    shapes = [tensor.shape for tensor in _tensors(view)]
    known = [shape for shape in shapes if shape is not None]
    rank = max((len(shape) for shape in known), default=0)
    if device.max_rank is not None and rank > device.max_rank:
        return replace(device, max_rank=rank), Edit(f"max rank {rank};", f"max rank {device.max_rank};", device.origin)
    for letter, limit in device.max_dims:
        dims = [dim for shape in known for axis, dim in enumerate(shape) if axis_letter(len(shape), axis) == letter and dim is not None]
        if max(dims, default=0) > limit:
            raised = tuple((name, max(dims) if name == letter else most) for name, most in device.max_dims)
            edit = Edit(f"max dim {letter} {max(dims)};", f"max dim {letter} {limit};", device.origin)
            return replace(device, max_dims=raised), edit
    return None


def _listed(device: Device, view: OperatorView, precision: Precision) -> tuple[Device, Edit] | None:
    dtypes = data_dtypes(view)
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    wanted = float_choices(device, floats, precision) if floats else tuple(dtype for dtype in dtypes if dtype in BITS)
    if not wanted:
        return None
    missing = [dtype for dtype in wanted if not any(_holds(rule, view, device) for rule in rules_for(device, view, dtype))]
    rules = [rule for dtype in missing for rule in rules_for(device, view, dtype)]
    environment = environment_of(view, device)
    tries = [(*widen(rule.where, environment), rule) for rule in rules if rule.where is not None]
    if tries:
        wider, _, rule = min(tries, key=lambda one: (one[0] is None, one[1]))
        edit = Edit(f"{_written(view, wider)};", f"{_written(view, rule.where)};", rule.origin)
        return replace(device, supports=_swapped(device, rule, replace(rule, where=wider))), edit
    choices = [dtype for dtype in missing if any(dtype in block.dtypes for block in device.supports)] or missing
    return _added(device, key_of(view.domain, view.operator), choices[0]) if choices else None


def _holds(rule: OperatorRule, view: OperatorView, device: Device) -> bool:
    return rule.where is None or truth(rule.where, environment_of(view, device)) is True


def _added(device: Device, name: str, dtype: str) -> tuple[Device, Edit]:
    """The device with one more operator in the block of that dtype, or in a new block."""
    domain, operator = _split(name)
    block = next((block for block in device.supports if dtype in block.dtypes), None)
    origin = block.origin if block is not None else device.origin
    rule = OperatorRule(domain=domain, operator=operator, where=None, origin=origin)
    if block is None:
        made = (*device.supports, SupportBlock(dtypes=(dtype,), everything=False, rules=(rule,), origin=origin))
    else:
        made = tuple(replace(other, rules=(*other.rules, rule)) if other is block else other for other in device.supports)
    return replace(device, supports=made), Edit(f"supports {dtype} {{ {name}; }}", "", origin, name)


def _swapped(device: Device, old: OperatorRule, new: OperatorRule) -> tuple[SupportBlock, ...]:
    return tuple(
        replace(block, rules=tuple(new if rule is old else rule for rule in block.rules)) if old in block.rules else block
        for block in device.supports
    )


def _dtype_of_table(device: Device) -> str:
    return next((dtype for block in device.supports for dtype in block.dtypes), "fp32")


def _split(name: str) -> tuple[str, str]:
    domain, _, operator = name.rpartition("::")
    return domain, operator


def _written(view: OperatorView, where: Expression | None) -> str:
    name = key_of(view.domain, view.operator)
    return name if where is None else f"{name} where {render(where)}"


def _tensors(view: OperatorView) -> Iterator[TensorView]:
    yield from view.inputs.values()
    yield from view.outputs.values()
