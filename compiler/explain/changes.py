"""What could be changed so that a device takes a group of operators: smallest first, each one ready to be applied to a copy of the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ...passes.graph.graph import Graph
from ...passes.graph.versions import declared, readable, unlike
from ...passes.rule.rewrite import Declined
from ...targets.admit import admit_all, opsets_for
from ...targets.dtypes import FLOATS
from ...targets.model import RewriteLine, Target
from ...targets.operator_view import OperatorView
from ...targets.support import Yes, data_dtypes, device_dtypes, supports
from ..pipeline.work import Work
from .change import SMALLEST_FIRST, Apply, Change, views_of, with_device, with_target


def changes(work: Work, tensors: Sequence[str], device: str, more: Sequence[Change] = ()) -> list[Change]:
    """Every kind of change, smallest first, with `more` among them; the operators are named by a tensor that each writes."""
    from .model_changes import model_changes
    from .quantise_change import quantise_change

    views = views_of(work.graph, tensors)
    found = [
        *_rewrites(work, views, device),
        *_compute_dtypes(work.target, views, device),
        *model_changes(work, views, tensors, device),
        *quantise_change(views, work.target.device(device)),
        *more,
        *_rules(work.target, views, device),
        *_rewritten_rules(work, tensors, device),
        *_opsets(work, tensors, views, device),
    ]
    return sorted(found, key=lambda change: SMALLEST_FIRST.index(change.kind))


def _rewrites(work: Work, views: Sequence[OperatorView], device: str) -> Iterator[Change]:
    """Approximations in the library that no `rewrite` line of the target allows; exact rewrites need no line."""
    kind = f"{views[0].domain}::{views[0].operator}" if views[0].domain else views[0].operator
    machine = work.target.device(device)
    for rule in sorted(work.substitutes, key=lambda rule: rule.contract.absolute):
        if rule.contract.kind != "bounded" or kind not in rule.operators:
            continue
        bound = rule.contract.absolute
        line = RewriteLine(operator=kind, rule=rule.name, tolerance=_round_up(bound), keep=(), where=None, origin=machine.origin)
        text = f"`rewrite {kind} -> {rule.name} tol {line.tolerance:g};`"
        yield Change(
            "rewrite",
            text,
            str(machine.origin),
            f"each within {bound:.3g} (proved)",
            _retarget(partial(_with_line, device, line)),
            rule.name,
        )


def _with_line(device: str, line: RewriteLine, target: Target) -> Target:
    machine = target.device(device)
    return with_device(target, replace(machine, rewrites=(line, *machine.rewrites)))


def _compute_dtypes(target: Target, views: Sequence[OperatorView], device: str) -> Iterator[Change]:
    """`precision { compute fp16 for fp32; }` for every float dtype the device has and the operands do not."""
    operands = dict.fromkeys(dtype for view in views for dtype in data_dtypes(view) if dtype in FLOATS)
    for operand in operands:
        for into in device_dtypes(target.device(device)):
            if into in FLOATS and into != operand and (into, operand) not in target.precision.compute:
                changed = _computing(into, operand, target)
                if not all(isinstance(supports(changed.device(device), view, changed.precision), Yes) for view in views):
                    continue
                text = f"`precision {{ compute {into} for {operand}; }}`"
                yield Change("dtype", text, "", "verify measures what the rounding does", _retarget(partial(_computing, into, operand)))


def _computing(into: str, operand: str, target: Target) -> Target:
    return replace(target, precision=replace(target.precision, compute=((into, operand), *target.precision.compute)))


def _rules(target: Target, views: Sequence[OperatorView], device: str) -> Iterator[Change]:
    """The lines of the device's table that would have to change for it to take all of the operators."""
    found = admit_all(target.device(device), views, target.precision)
    if found is None or not found[1]:
        return
    edits = found[1]
    opsets = opsets_for(edits, target.opset)
    if opsets is None:
        return
    newer = opsets != target.opset
    text = " and ".join([*([f"`onnx opset {opsets[0]}..{opsets[1]};`"] if newer else []), *map(str, edits)])
    instead = ", ".join(dict.fromkeys(str(edit.origin) for edit in edits))
    amend = partial(_admitting_newer, device, views, opsets[1]) if newer else partial(_admitting, device, views)
    yield Change("rule", text, instead, "only if the hardware and its runtime do that", _retarget(amend))


def _rewritten_rules(work: Work, tensors: Sequence[str], device: str) -> Iterator[Change]:
    """The lines that would have to change for what an exact rewrite makes of the operators, where that is not the operator itself."""
    nodes = [node for node in map(work.graph.producer, tensors) if node is not None]
    for rule in work.substitutes:
        if rule.contract.kind == "bounded" or not nodes or nodes[0].kind not in rule.operators:
            continue
        parts: list[OperatorView] = []
        for node in nodes:
            made = rule.propose(work.graph, node)
            if made is None or isinstance(made, Declined):
                break
            work.graph.infer(made.nodes)
            parts.extend(work.graph.view(new) for new in made.nodes)
            work.graph.discard(made.nodes)
        else:
            for change in _rules(work.target, parts, device):
                yield replace(change, text=f"{change.text}, for {rule.name}")


def _admitting(device: str, views: Sequence[OperatorView], target: Target) -> Target | None:
    found = admit_all(target.device(device), views, target.precision)
    return None if found is None else with_device(target, found[0])


def _opsets(work: Work, tensors: Sequence[str], views: Sequence[OperatorView], device: str) -> Iterator[Change]:
    """A wider range of opsets, where the runtime cannot read the operators as they are written: the shortest that is enough."""
    low, high = work.target.opset
    if readable(work.target.device(device), work.target) is None or _readable(work.graph, tensors, low, high):
        return
    newest = next((last for last in range(high + 1, work.graph.newest + 1) if _readable(work.graph, tensors, low, last)), 0)
    found = admit_all(work.target.device(device), views, work.target.precision) if newest else None
    if found is not None:
        lines = [f"`onnx opset {low}..{newest};`", *map(str, found[1])]
        where = ", ".join(dict.fromkeys(str(edit.origin) for edit in found[1]))
        amend = partial(_admitting_newer, device, views, newest)
        yield Change("rule", " and ".join(lines), where, "only if the runtime reads it", _retarget(amend))


def _readable(graph: Graph, tensors: Sequence[str], low: int, high: int) -> bool:
    """Whether the operators as they are written mean the same at an opset in low..high."""
    nodes = [node for node in map(graph.producer, tensors) if node is not None]
    written = [graph.version(node) for node in nodes]
    return not any(unlike(graph.view(n), at, declared(at, low, high), n.attributes) for n, at in zip(nodes, written, strict=True))


def _admitting_newer(device: str, views: Sequence[OperatorView], newest: int, target: Target) -> Target | None:
    return _admitting(device, views, replace(target, opset=(target.opset[0], newest)))


def _retarget(amend: Callable[[Target], Target | None]) -> Apply:
    """A change of the target alone."""

    def apply(work: Work, tensors: Sequence[str]) -> tuple[Work, tuple[str, ...]] | None:
        target = amend(work.target)
        return None if target is None else (with_target(work, target), tuple(tensors))

    return apply


def _round_up(bound: float) -> float:
    """To one significant digit, upwards, so that the bound still holds."""
    if bound <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(bound))
    return float(f"{math.ceil(bound / unit - 1e-9) * unit:.1g}")
