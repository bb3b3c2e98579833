"""For every operator and device: how the device would run it (natively or by a rewrite), or every reason why it cannot.

The order of preference is the target's: its `rewrite` lines in the order written; then native; then a rewrite that is exact
in real arithmetic. An approximation is offered only where a `rewrite` line of the target asks for it with a tolerance; of the
forms within it, the one that takes the device least time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...targets.calibrated_cost import Beyond, KernelTime, kernel_time
from ...targets.cost import limiting_memory, runs_once
from ...targets.dtypes import FLOATS
from ...targets.model import Device, RewriteLine, Target
from ...targets.operator_view import OperatorView
from ...targets.support import No, guard_holds, supports
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.versions import declared, readable, unlike
from ..rule.rewrite import Declined, Replacement, Rewrite
from .computed_once import once_in, weights_of, with_constants
from .kernels import group_kernels, reader_among
from .proposed import as_quantised, computes_on_floats, proposed_views

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Implementation:
    """One way to run an operator on a device."""

    device: str
    rule: str
    """NATIVE or the name of a rewrite."""
    seconds: float
    """Roofline time, launches not included."""
    launches: int
    compute_dtype: str
    bound: float
    """Proved bound on the absolute error of this operator's output; 0 for native, exact and reassociating rewrites."""
    origin: str
    """The line of the target that decided: "a16.hw:31"."""
    memory: str = ""
    """The memory whose bandwidth sets most of `seconds`; "" where arithmetic does."""
    native_refusal: str = ""
    """Why the device does not take the operator as it is; "" where it does (a `rewrite` line may still come first)."""
    view: OperatorView | None = None
    """The operator as the device sees it, where that is not how it stands in the graph: in integers."""
    outside: Beyond | None = None
    """Why `seconds` is outside what was measured of the device; None where it is inside, or nothing was measured."""

    @property
    def carried(self) -> bool:
        """Whether it only stores or takes integers in another form, which costs nothing: no kernel has it as a member."""
        return not self.launches and not self.seconds and self.compute_dtype not in FLOATS

    def alone(self, device: Device) -> float:
        """Seconds as kernels of its own, launches included."""
        return self.seconds + self.launches * device.kernel_launch


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a device cannot run an operator: the table's reason first, then why each rewrite does not help."""

    device: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.reasons)


Answer = Implementation | Refusal


class Candidates:
    """Answers, remembered by what the operator looks like, so that a model of a thousand equal layers asks once."""

    def __init__(self, graph: Graph, target: Target, rewrites: Sequence[Rewrite], families: Mapping[str, Sequence[Rewrite]]) -> None:
        """`rewrites` may serve a single operator; `families` maps the names a `rewrite` line may use to rewrites, cheapest first."""
        self._graph, self._target, self._families = graph, target, families
        self._once = once_in(graph)
        self._weights = weights_of(graph, target, self._once)
        self._by_operator: dict[str, list[Rewrite]] = {}
        for rewrite in rewrites:
            for operator in rewrite.operators:
                self._by_operator.setdefault(operator, []).append(rewrite)
        self._known: dict[tuple[object, ...], Answer] = {}

    def ask(self, node: Node, device: Device) -> Answer:
        """How `device` would run `node`, or why it cannot."""
        view = with_constants(self._graph.view(node), self._once)
        key = (device.name, *_signature(self._graph, node, view))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._answer(node, view, device)
        return found

    def ask_as(self, node: Node, view: OperatorView, device: Device, stored: OperatorView) -> Answer:
        """Whether `device` runs `node` on operands of the dtypes in `view`, which are not the graph's, and how long on those in `stored`,
        where each is as it lies in memory: natively, or by a rule that is exact and changes its indices alone."""
        reason = self._outside_opsets(node, self._graph.view(node), device)
        answer = Refusal(device.name, (reason,)) if reason else self._listed(view, device, stored=stored)
        for rewrite in self._by_operator.get(node.kind, ()) if isinstance(answer, Refusal) else ():
            other = self._rewritten(rewrite, node, device, "", seen=view) if rewrite.contract.kind == "exact" else ""
            answer = _with_refusal(other, answer) if isinstance(other, Implementation) else answer
        return replace(answer, view=stored) if isinstance(answer, Implementation) else answer

    def _answer(self, node: Node, view: OperatorView, device: Device) -> Answer:
        native = self._native(node, view, device)
        if view.has_body:
            return native
        reasons = list(native.reasons) if isinstance(native, Refusal) else []
        for line in device.rewrites:
            if line.operator != node.kind:
                continue
            answer = self._by_line(line, node, view, device, native)
            if isinstance(answer, Implementation):
                return _with_refusal(answer, native)
            reasons.append(f"rewrite line {line.origin}: {answer}")
        if isinstance(native, Implementation):
            return native
        for rewrite in self._by_operator.get(node.kind, ()):
            if rewrite.contract.kind == "bounded":
                continue
            answer = self._rewritten(rewrite, node, device, "")
            if isinstance(answer, Implementation):
                return _with_refusal(answer, native)
            if answer:
                reasons.append(f"{rewrite.name}: {answer}")
        return Refusal(device.name, tuple(dict.fromkeys(reasons)))

    def _by_line(self, line: RewriteLine, node: Node, view: OperatorView, device: Device, native: Answer) -> Implementation | str:
        if not guard_holds(device, view, line.where):
            return "its condition does not hold"
        if line.rule == NATIVE:
            return native if isinstance(native, Implementation) else "the device does not run it natively"
        found: list[Implementation] = []
        last = f"no rule `{line.rule}` applies"
        for rewrite in self._families.get(line.rule, ()):
            if node.kind not in rewrite.operators:
                continue
            bound = rewrite.contract.absolute
            if rewrite.contract.kind == "bounded" and (line.tolerance is None or bound > line.tolerance):
                allowed = "and the line has no tol" if line.tolerance is None else f"above tol {line.tolerance:g}"
                last = f"{rewrite.name} has an error of up to {bound:.3g}, {allowed}"
                continue
            answer = self._rewritten(rewrite, node, device, str(line.origin), line.keep)
            if isinstance(answer, Implementation):
                found.append(answer)
                if line.tolerance is None:
                    break  # equal over the reals: the order of the rules is the preference
            last = f"{rewrite.name}: {answer}" if isinstance(answer, str) and answer else last
        return min(found, key=lambda one: (one.alone(device), one.bound)) if found else last

    def _native(self, node: Node, view: OperatorView, device: Device, keep: Sequence[tuple[str, str]] = ()) -> Answer:
        reason = self._outside_opsets(node, view, device)
        return Refusal(device.name, (reason,)) if reason else self._listed(view, device, keep)

    def _listed(
        self, view: OperatorView, device: Device, keep: Sequence[tuple[str, str]] = (), stored: OperatorView | None = None
    ) -> Answer:
        precision = self._target.precision
        if keep:
            precision = replace(precision, keep=(*((dtype, name, "") for dtype, name in keep), *precision.keep))
        answer = supports(device, view, precision)
        if isinstance(answer, No):
            return Refusal(device.name, (str(answer),))
        view = stored or view
        kernel = kernel_time(self._target, device, (view,), answer.compute_dtype, self._weights)
        origin = str(answer.rule.origin) if answer.rule else str(device.origin)
        launches = 0 if runs_once(view) else 1
        memory = limiting_memory(self._target, device, view, answer.compute_dtype)
        return Implementation(
            device.name, NATIVE, kernel.seconds, launches, answer.compute_dtype, 0.0, origin, memory.name if memory else "",
            outside=kernel.outside,
        )  # fmt: skip

    def _outside_opsets(self, node: Node, view: OperatorView, device: Device) -> str:
        """Why the device's runtime cannot read the operator at an opset it takes; "" if it can."""
        opsets = readable(device, self._target)
        if opsets is None:
            return ""
        written = self._graph.version(node)
        reason = unlike(view, written, declared(written, *opsets), node.attributes)
        return f"{reason}; {self._target.name} reads opsets {opsets[0]}..{opsets[1]}" if reason else ""

    def _rewritten(
        self,
        rewrite: Rewrite,
        node: Node,
        device: Device,
        origin: str,
        keep: Sequence[tuple[str, str]] = (),
        seen: OperatorView | None = None,
    ) -> Implementation | str:
        """The node as `rewrite` would spell it, if the device runs every operator of that; else the first reason, "" if no match.
        `keep`: (dtype, operator) pairs that are to be computed in that dtype. seen: the node in integers, which it is to stay."""
        proposal = rewrite.propose(self._graph, node)
        if proposal is None or isinstance(proposal, Declined):
            return proposal.reason if isinstance(proposal, Declined) else ""
        self._graph.infer(proposal.nodes)
        views = proposed_views(self._graph, proposal.nodes)
        self._graph.discard(proposal.nodes)
        if seen is not None:
            if any(map(computes_on_floats, views := [as_quantised(view, seen) for view in views])):
                return "floats come in between"
        parts: list[Implementation] = []
        for new, view in zip(proposal.nodes, views, strict=True):
            answer = self._native(new, view, device, keep)
            if isinstance(answer, Refusal):
                return f"it needs {view.operator}, and {answer}"
            parts.append(answer)
        kernels, launches = self._kernels(proposal, views, parts, device)
        return Implementation(
            device=device.name,
            rule=rewrite.name,
            seconds=kernels.seconds,
            launches=launches,
            compute_dtype=parts[0].compute_dtype if parts else "",
            bound=rewrite.contract.absolute,
            origin=origin or str(device.origin),
            memory=_slowest(parts),
            outside=kernels.outside,
        )

    def _kernels(
        self, new: Replacement, views: Sequence[OperatorView], parts: Sequence[Implementation], device: Device
    ) -> tuple[KernelTime, int]:
        """Time and launches of a proposal, with the chains among its nodes that the device runs as one kernel."""
        number = {id(node): k for k, node in enumerate(new.nodes)}
        seconds, launches, outside = 0.0, 0, None
        for group in group_kernels(new.nodes, device.kernels, reader_among(new.nodes, set(new.outputs.values()))):
            members = [number[id(node)] for node in group]
            if len(members) == 1:
                one = parts[members[0]]
                seconds, launches, outside = seconds + one.seconds, launches + one.launches, outside or one.outside
            else:
                seen, dtype = [views[k] for k in members], parts[members[0]].compute_dtype
                kernel = kernel_time(self._target, device, seen, dtype, self._weights)
                seconds, launches, outside = seconds + kernel.seconds, launches + 1, outside or kernel.outside
        return KernelTime(seconds, outside), launches


def _with_refusal(rewritten: Implementation, native: Answer) -> Implementation:
    return replace(rewritten, native_refusal=str(native)) if isinstance(native, Refusal) else rewritten


def _signature(graph: Graph, node: Node, view: OperatorView) -> tuple[object, ...]:
    """All that an answer depends on: the operator, its attributes, its operands' types, and the values of small constants."""
    operands = tuple((label, t.dtype, t.shape, t.const) for label, t in view.inputs.items())
    results = tuple((label, t.dtype, t.shape) for label, t in view.outputs.items())
    values = tuple(_small_value(graph, t.name) for t in view.inputs.values() if t.const)
    same = tuple(node.inputs.index(name) for name in node.inputs)
    written = (graph.version(node), frozenset(node.attributes), _quantised(graph, node), same)
    attributes = tuple(sorted(view.attributes.items(), key=lambda item: item[0]))
    return (node.kind, written, attributes, operands, results, values, view.functions, id(node) if view.has_body else 0)


def _quantised(graph: Graph, node: Node) -> tuple[object, ...]:
    """How operands are dequantised and the result is quantised, if they are."""
    around = [producer for producer in map(graph.producer, node.inputs) if producer is not None and producer.kind == "DequantizeLinear"]
    around += [reader for reader in graph.users(node.outputs[0]) if reader.kind == "QuantizeLinear"] if around and node.outputs else []
    return tuple((n.kind, *(_small_value(graph, name) or name for name in n.inputs[1:]), *map(_dtype_in(graph), n.inputs)) for n in around)


def _dtype_in(graph: Graph) -> Callable[[str], str]:
    return lambda name: graph.tensor(name).dtype


def _small_value(graph: Graph, tensor: str) -> bytes:
    elements = graph.tensor(tensor).elements
    if elements is None or elements > 16 or graph.tensor(tensor).dtype == "string":
        return b""
    value = graph.value(tensor)
    return b"" if value is None else value.tobytes()


def _slowest(parts: Sequence[Implementation]) -> str:
    """The memory, or "" for arithmetic, that takes most of the time of these."""
    shares: dict[str, float] = {}
    for part in parts:
        shares[part.memory] = shares.get(part.memory, 0.0) + part.seconds
    return max(shares, key=lambda memory: shares[memory], default="")
