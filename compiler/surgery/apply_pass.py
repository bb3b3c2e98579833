"""User's passes as rows of the pipeline: run on the graph, checked against their contract, written down as decisions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ...passes.rule.rewrite import Decision
from ..errors import UserPassError
from ..pipeline.table import Pass
from ..pipeline.whole_model import graph_model
from ..pipeline.work import Work
from .call_pass import call_pass
from .check_contract import broken_contract
from .contract import spelled
from .user_pass import UserPass

if TYPE_CHECKING:
    import onnx


def pass_rows(passes: Sequence[UserPass | Callable[[Any], Any]], inputs: Mapping[str, Any] | None = None) -> Mapping[str, tuple[Pass, ...]]:
    """By point, the passes to run there, in order. A bare function runs at the default point. `inputs`: arrays by input name, compared
    besides generated ones. Raises UsageError for a function without a contract."""
    rows: dict[str, tuple[Pass, ...]] = {}
    for given in passes:
        one = given if isinstance(given, UserPass) else UserPass(given)
        row = Pass(one.name, _Runner(one, inputs), frozenset(), frozenset(), frozenset(), one.contract.kind, own=True)
        rows[one.point] = (*rows.get(one.point, ()), row)
    return rows


class _Runner:
    """Runs one pass on a work. A compilation may run it several times, on other plans: what was compared once is remembered."""

    def __init__(self, one: UserPass, inputs: Mapping[str, Any] | None) -> None:
        self._pass, self._inputs = one, inputs
        self._kept: set[bytes] = set()

    def __call__(self, work: Work) -> None:
        """Raises UserPassError for a function that fails, breaks the graph or breaks its contract."""
        before = graph_model(work.graph)
        after = call_pass(self._pass, before)
        if after is None:
            work.decisions.append(self._decision(False, "it changed nothing", "", ""))
            return
        node = _first_changed(before, after)
        if not work.allow(self._pass.name, node.output[0]):
            return
        self._check(before, after)
        counts = [Counter(one.op_type for one in model.graph.node) for model in (before, after)]
        work.graph = Graph(after)
        if work.recovered:
            work.recovered = dict(Counter(one.kind for one in work.graph.nodes))
        decision = self._decision(True, _changes(*counts), node.name, node.output[0])
        work.decisions.append(decision)
        work.own_passes = (*work.own_passes, decision)

    def _check(self, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
        both = _digest(before) + _digest(after)
        if both in self._kept:
            return
        one = self._pass
        if fault := broken_contract(before, after, one.contract, self._inputs):
            message = f"pass {one.name} (after {one.point}) breaks its contract '{spelled(one.contract)}': {fault}"
            help = "fix the function, or declare what it really changes (exact, reassociates, bounded=…)"
            raise UserPassError(message, where=one.where, help=help, pass_name=one.name)
        self._kept.add(both)

    def _decision(self, taken: bool, did: str, site: str, tensor: str) -> Decision:
        one = self._pass
        reason = f"your pass, after {one.point}: {did}; contract {spelled(one.contract)}{', checked on generated inputs' if taken else ''}"
        return Decision(one.name, site or one.point, tensor, taken, reason, one.contract.absolute, one.contract.kind)


def _digest(model: onnx.ModelProto) -> bytes:
    return hashlib.sha256(model.SerializeToString(deterministic=True)).digest()


def _first_changed(before: onnx.ModelProto, after: onnx.ModelProto) -> onnx.NodeProto:
    """A node that only one of the two has, of the model before if there is one; the first node where only order or weights changed."""
    old, new = ([(node, node.SerializeToString(deterministic=True)) for node in model.graph.node] for model in (before, after))
    for mine, others in ((old, {data for _, data in new}), (new, {data for _, data in old})):
        changed: onnx.NodeProto | None = next((node for node, data in mine if data not in others), None)
        if changed is not None:
            return changed
    first: onnx.NodeProto = before.graph.node[0]
    return first


def _changes(before: Counter[str], after: Counter[str]) -> str:
    """`2 Mul, 1 Div taken out, 1 Gelu put in`."""
    told = []
    for counts, what in ((before - after, "taken out"), (after - before, "put in")):
        if counts:
            told.append(f"{', '.join(f'{number} {kind}' for kind, number in sorted(counts.items()))} {what}")
    return ", ".join(told) or "same operators, other attributes, weights or connections"
