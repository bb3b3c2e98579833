"""Conditions on an operator that hold for the cases a runtime computes right and for none that it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...targets.exact_condition import exact_condition, literal, number
from ...targets.expression import truth
from ...targets.formula import Attribute, Between, Binary, Call, Expression, Name, Unary
from ...targets.operator_view import OperatorView
from ...targets.support import environment_of


def holds(condition: Expression, view: OperatorView) -> bool:
    """Whether the condition is known to be true of the operator."""
    return truth(condition, environment_of(view)) is True


def separating(right: Sequence[OperatorView], wrong: Sequence[OperatorView]) -> tuple[Expression | None, list[OperatorView]]:
    """A conjunction of the simplest conditions that keeps most of `right`, and those of `wrong` for which it holds all the same.

    Greedy: each step takes the condition that rules out most of what is wrong, less three times what it costs of what is right."""
    kept, left = list(right), list(wrong)
    found: Expression | None = None
    candidates = _candidates([*right, *wrong], right)
    while left:
        scored = [(_gain(part, kept, left), -k, part) for k, part in enumerate(candidates)]
        gain, _, best = max(scored, key=lambda entry: entry[:2], default=(0, 0, None))
        if best is None or gain <= 0:
            break
        kept = [view for view in kept if holds(best, view)]
        left = [view for view in left if holds(best, view)]
        found = best if found is None else Binary("and", found, best)
    return found, left


def exact_condition_of(view: OperatorView) -> Expression | None:
    """The condition that holds for operators of these operand shapes and attributes."""
    known = {name: tensor.shape for name, tensor in view.inputs.items() if tensor.shape}
    shapes = [(name, [dim for dim in shape if dim is not None]) for name, shape in known.items() if None not in shape]
    return exact_condition(shapes, view.attributes.items())


def _gain(part: Expression, kept: Sequence[OperatorView], left: Sequence[OperatorView]) -> int:
    excluded = sum(not holds(part, view) for view in left)
    lost = sum(not holds(part, view) for view in kept)
    return excluded - 3 * lost if lost < len(kept) else 0


def _candidates(views: Sequence[OperatorView], right: Sequence[OperatorView]) -> list[Expression]:
    """In the order in which they are preferred: operands left out or constant, ranks, attributes."""
    operands = dict.fromkeys(name for view in views for name in view.inputs)
    results = dict.fromkeys(name for view in views for name in view.outputs)
    attributes = dict.fromkeys(name for view in views for name in view.attributes)
    found: list[Expression] = [Call("const", (Name(name),)) for name in operands]
    found += [Unary("not", Call("present", (Name(name),))) for name in (*operands, *results)]
    for name in operands:
        ranks = [len(tensor.shape) for view in right if (tensor := view.inputs.get(name)) and tensor.shape is not None]
        if ranks:
            found.append(_within(Call("rank", (Name(name),)), min(ranks), max(ranks)))
            found += [Binary("==", Call("rank", (Name(name),)), number(rank)) for rank in sorted(set(ranks))]
    for name in attributes:
        found += _about_attribute(name, views, right)
    return found


def _about_attribute(name: str, views: Sequence[OperatorView], right: Sequence[OperatorView]) -> Iterator[Expression]:
    good = dict.fromkeys(view.attributes[name] for view in right if name in view.attributes)
    bad = dict.fromkeys(view.attributes[name] for view in views if name in view.attributes and view.attributes[name] not in good)
    for value in good:
        if (spelled := literal(value)) is not None:
            yield Binary("==", Attribute(name), spelled)
    for value in bad:
        if (spelled := literal(value)) is not None:
            yield Binary("!=", Attribute(name), spelled)
    if bad:
        yield Unary("not", Call("present", (Attribute(name),)))


def _within(value: Expression, low: int, high: int) -> Expression:
    return Binary("==", value, number(low)) if low == high else Between(value, number(low), number(high))
