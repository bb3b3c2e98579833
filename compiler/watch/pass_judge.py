"""Is a state of the whole model still valid, and does it still compute what the untouched model does, up to rounding?

Valid: the graph's own invariants hold, and onnx's checker with strict shape inference accepts the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ..errors import ModelError, UserError, first_line
from ..inputs.fitting_inputs import MadeUp
from ..load.hide_weights import hide_weights, restore_weights
from ..load.source import Source
from ..verify.compare import TensorDifference, difference
from ..verify.judge import TOLERANCE, beyond, suspicious
from ..verify.reference import Reference, random_tensors, read_graph

if TYPE_CHECKING:
    import onnx

    from ..pipeline.work import Work

SETS = 2
"""Generated input sets, besides those given."""
TRIES = 4
"""How many are generated to find them."""


class PassJudge:
    """The untouched model's outputs on a few inputs, and how far a state of the work is from them."""

    def __init__(self, source: Source, loaded: onnx.ModelProto, given: Mapping[str, Any] | None) -> None:
        """loaded: the model as passes get it, with every dim bound. Raises ModelError where the untouched model does not run, or takes
        none of the generated inputs and none are given."""
        self.source, self._untouched = source, read_graph(source)
        self._reference = Reference(source, self._untouched)
        sets = [] if given is None else [(given, self._reference.run(given))]
        sets += _made_up(self._untouched, loaded, self._reference, needed=not sets)
        self.feeds, self._expected = [feeds for feeds, _ in sets], [expected for _, expected in sets]
        random = random_tensors(self._untouched.graph)
        self._outputs = tuple(name for name in self._reference.outputs if name not in random)
        self._rounding: dict[str, float] | None = None
        self._strict = not refused_by_checker(loaded, strict=True)
        self.differences: tuple[TensorDifference, ...] = ()
        """Of the outputs, in the state judged last."""

    def fault(self, model: onnx.ModelProto, work: Work) -> str:
        """What is wrong with `model`, the whole of `work`: "" if nothing."""
        return self._fault(model, work, TOLERANCE)

    def gross_fault(self, model: onnx.ModelProto, work: Work) -> str:
        """The same where approximations were taken: what each is allowed may grow on the way, so only NaN, infinities and shapes count."""
        return self._fault(model, work, None)

    def accept(self, model: onnx.ModelProto) -> None:
        """From now on compare with what this state gives."""
        self._expected = self._run(model)

    def _fault(self, model: onnx.ModelProto, work: Work, tolerance: float | None) -> str:
        refused = "; ".join(broken_invariants(work.graph)[:3]) or refused_by_checker(model, strict=self._strict)
        if refused:
            return refused
        try:
            self.differences = self._compare(model)
        except UserError as problem:
            return first_line(problem).removeprefix("error: ")
        return "; ".join(beyond(self.differences, (), tolerance))

    def _compare(self, model: onnx.ModelProto) -> tuple[TensorDifference, ...]:
        got = self._run(model)
        found = tuple(self._difference(name, got) for name in self._outputs)
        rounding = self._own_rounding() if suspicious(found) else {}
        return tuple(replace(d, rounding=rounding.get(d.name, 0.0)) for d in found)

    def _difference(self, name: str, got: Sequence[Mapping[str, Any]]) -> TensorDifference:
        pairs = [(expected[name], values[name]) for expected, values in zip(self._expected, got, strict=True)]
        found = difference(name, pairs)
        retyped = any(getattr(a, "dtype", None) != getattr(b, "dtype", None) for a, b in pairs)
        return replace(found, mismatched=max(found.elements, 1)) if retyped else found

    def _run(self, model: onnx.ModelProto) -> list[dict[str, Any]]:
        """The outputs on every input set."""
        session = Reference(self.source, model)
        return [session.run(feeds) for feeds in self.feeds]

    def _own_rounding(self) -> dict[str, float]:
        """What onnxruntime's own optimisations change in the untouched model."""
        if self._rounding is None:
            other = Reference(self.source, self._untouched, optimised=True)
            results = [(self._reference.run(feeds), other.run(feeds)) for feeds in self.feeds]
            self._rounding = {name: difference(name, [(a[name], b[name]) for a, b in results]).max_abs for name in self._outputs}
        return self._rounding


def broken_invariants(graph: Graph) -> list[str]:
    """One sentence per violation: topological order, one writer per tensor, everything read exists, the index of users is right."""
    known = set(graph.inputs) | set(graph.constants)
    written: set[str] = set()
    found = []
    users: dict[str, set[int]] = {}
    for node in graph.nodes:
        for name in node.reads:
            users.setdefault(name, set()).add(id(node))
            if name not in known and name not in written:
                found.append(f"{node.kind} {node.name!r} reads {name!r}, which no node before it writes")
        for name in node.writes:
            if name in written or name in known:
                found.append(f"{name!r} is written twice, the second time by {node.kind} {node.name!r}")
            if graph.producer(name) is not node:
                found.append(f"the graph's index has another producer of {name!r} than {node.kind} {node.name!r}")
        written.update(node.writes)
    found += [f"no node writes the graph output {name!r}" for name in graph.outputs if name not in known and name not in written]
    wrong = [name for name in known | written if {id(user) for user in graph.users(name)} != users.get(name, set())]
    return found + [f"the graph's index of the readers of {name!r} is wrong" for name in sorted(wrong)]


def refused_by_checker(model: onnx.ModelProto, *, strict: bool) -> str:
    """The error of onnx's checker, "" if there is none. strict: declared shapes and dtypes must be the inferred ones."""
    import onnx

    hidden = hide_weights(model)
    try:
        onnx.checker.check_model(model, full_check=strict)
    except Exception as problem:  # the checker's and shape inference's errors share no base class
        return f"onnx.checker: {first_line(problem)}"
    finally:
        restore_weights(model, hidden)
    return ""


def _made_up(
    source: onnx.ModelProto, loaded: onnx.ModelProto, reference: Reference, *, needed: bool
) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    """SETS input sets that the untouched model takes, with its outputs; fewer where it refuses most of what is generated."""
    shapes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in loaded.graph.input}
    maker = MadeUp(source, reference, shapes, tuple(shapes))
    attempts = (made for seed in range(TRIES) if (made := maker.attempt(seed)) is not None)
    found = list(islice(attempts, SETS))
    if needed and not found:
        message = f"the model takes none of the inputs generated for it: {'; '.join(maker.unfit)}"
        raise ModelError(message, help="give some that it takes: --inputs FILE.npz")
    return [(values, expected) for values, expected in found]
