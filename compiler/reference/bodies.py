"""Operators with bodies, constants and optionals: what an evaluation does itself instead of asking a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .cross_check import CannotEvaluate
from .held import Held, hold
from .program import Program, Step

Scope = Mapping[str, Held]
Body = Callable[[Program, Sequence[Held], Scope], list[Held]]
"""Runs a body on inputs, with what it reads from around it."""
CONTROL = frozenset(
    ("", name)
    for name in (
        "Constant", "If", "Loop", "Scan", "SequenceMap", "Optional", "OptionalGetElement", "OptionalHasElement", "Identity",
    )
)  # fmt: skip


def run_control(step: Step, operands: Sequence[Held], scope: Scope, body: Body, points: set[tuple[str, str]]) -> list[Held]:
    """The results of an operator of CONTROL; the branch that an If takes is added to `points`."""
    match step.operator:
        case "Constant":
            return [_constant(step)]
        case "Identity":
            return [operands[0]]
        case "If":
            taken = bool(np.asarray(operands[0].value).reshape(-1)[0])
            points.add((step.path, "true" if taken else "false"))
            return body(step.bodies["then_branch" if taken else "else_branch"], (), scope)
        case "Loop":
            return _loop(step, operands, scope, body)
        case "Scan":
            return _scan(step, operands, scope, body)
        case "SequenceMap":
            return _map(step, operands, scope, body)
        case "Optional":
            return [operands[0]] if operands else [Held(None, "")]
        case "OptionalGetElement":
            return [operands[0]]
    return [hold(np.asarray(bool(operands) and operands[0].value is not None))]


def _constant(step: Step) -> Held:
    (name, value), *_ = step.attributes.items()
    if name in ("value", "sparse_value"):
        return hold(value)
    if name.startswith("value_string"):
        return hold(np.asarray(value, dtype=object))
    return hold(np.asarray(value, np.float32 if "float" in name else np.int64))


def _loop(step: Step, operands: Sequence[Held], scope: Scope, body: Body) -> list[Held]:
    most, going = operands[0].value, operands[1].value if len(operands) > 1 else None
    trips = None if most is None else int(np.asarray(most).reshape(-1)[0])
    go = True if going is None else bool(np.asarray(going).reshape(-1)[0])
    carried, program = list(operands[2:]), step.bodies["body"]
    scanned: list[list[Held]] = [[] for _ in range(len(program.outputs) - 1 - len(carried))]
    done = 0
    while go and (trips is None or done < trips):
        found = body(program, [hold(np.asarray(done, np.int64)), hold(np.asarray(go)), *carried], scope)
        go = bool(np.asarray(found[0].value).reshape(-1)[0])
        carried = found[1 : 1 + len(carried)]
        for kept, item in zip(scanned, found[1 + len(carried) :], strict=True):
            kept.append(item)
        done += 1
    if not done and scanned:
        raise CannotEvaluate(f"Loop {step.path} runs no time, so the shape of what it scans is unknown")
    return [*carried, *(_stacked(items, 0) for items in scanned)]


def _stacked(items: Sequence[Held], axis: int) -> Held:
    return Held(np.stack([np.asarray(item.value) for item in items], axis), items[0].dtype)


def _scan(step: Step, operands: Sequence[Held], scope: Scope, body: Body) -> list[Held]:
    if step.version < 9:
        raise CannotEvaluate(f"Scan {step.path} of opset 8 has a batch axis")
    count, program = int(step.attributes["num_scan_inputs"]), step.bodies["body"]
    states, given = list(operands[: len(operands) - count]), operands[len(operands) - count :]
    axes = _listed(step, "scan_input_axes", count)
    back = _listed(step, "scan_input_directions", count)
    length = np.asarray(given[0].value).shape[axes[0]]
    out = len(program.outputs) - len(states)
    scanned: list[list[Held]] = [[] for _ in range(out)]
    for k in range(length):
        items = [Held(np.take(held.value, length - 1 - k if back[n] else k, axes[n]), held.dtype) for n, held in enumerate(given)]
        found = body(program, [*states, *items], scope)
        states = found[: len(states)]
        for kept, item in zip(scanned, found[len(states) :], strict=True):
            kept.append(item)
    if not length:
        raise CannotEvaluate(f"Scan {step.path} runs no time, so the shape of what it scans is unknown")
    out_axes, out_back = _listed(step, "scan_output_axes", out), _listed(step, "scan_output_directions", out)
    ordered = [items[::-1] if reverse else items for items, reverse in zip(scanned, out_back, strict=True)]
    return [*states, *(_stacked(items, axis) for items, axis in zip(ordered, out_axes, strict=True))]


def _listed(step: Step, name: str, count: int) -> Sequence[int]:
    found: Sequence[int] = step.attributes.get(name, [0] * count)
    return found


def _map(step: Step, operands: Sequence[Held], scope: Scope, body: Body) -> list[Held]:
    first, *more = operands
    rows: list[list[Held]] = []
    for k in range(len(first.value)):
        given = [Held(held.value[k], held.dtype) if isinstance(held.value, list) else held for held in (first, *more)]
        rows.append(body(step.bodies["body"], given, scope))
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(step.node.output)
    return [Held([item.value for item in column], column[0].dtype if column else "float32") for column in columns]
