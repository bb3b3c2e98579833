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
from ..reference.oracle import Oracle
from ..verify.compare import TensorDifference, is_real
from ..verify.expectation import Expectation
from ..verify.judge import judge
from ..verify.reference import Reference, random_tensors, read_graph
from ..verify.terms import EXACT, Terms
from ..verify.trial import Untouched

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
        reference = Reference(source, self._untouched)
        sets = [] if given is None else [(given, reference.run(given))]
        sets += _made_up(self._untouched, loaded, reference, needed=not sets)
        self.feeds = [feeds for feeds, _ in sets]
        random = random_tensors(self._untouched.graph)
        self._outputs = tuple(name for name in reference.outputs if name not in random)
        with Oracle(source) as oracle:
            untouched = Untouched(oracle, ())
            self._states = [untouched.expectation(f"set {k}", feeds) for k, feeds in enumerate(self.feeds)]
        self._strict = not refused_by_checker(loaded, strict=True)
        self.differences: tuple[TensorDifference, ...] = ()
        """Of the outputs, in the state judged last."""

    def fault(self, model: onnx.ModelProto, work: Work) -> str:
        """What is wrong with `model`, the whole of `work`: "" if nothing."""
        return self._fault(model, work, EXACT)

    def gross_fault(self, model: onnx.ModelProto, work: Work) -> str:
        """The same where approximations were taken: what each is allowed may grow on the way, so only NaN, infinities, shapes and whole
        numbers count."""
        return self._fault(model, work, Terms(free=True))

    def accept(self, model: onnx.ModelProto) -> None:
        """From now on compare with what this state gives."""
        self._states = [_around(state, values) for state, values in zip(self._states, self._run(model), strict=True)]

    def _fault(self, model: onnx.ModelProto, work: Work, terms: Terms) -> str:
        refused = "; ".join(broken_invariants(work.graph)[:3]) or refused_by_checker(model, strict=self._strict)
        if refused:
            return refused
        try:
            got = self._run(model)
        except UserError as problem:
            return first_line(problem).removeprefix("error: ")
        self.differences = tuple(self._difference(name, got, terms) for name in self._outputs)
        return "; ".join(d.fault for d in self.differences if d.fault)

    def _difference(self, name: str, got: Sequence[Mapping[str, Any]], terms: Terms) -> TensorDifference:
        found = judge(name, [state.sample(name, values[name]) for state, values in zip(self._states, got, strict=True)], terms)
        kinds = {(getattr(s.own[name], "dtype", None), getattr(v[name], "dtype", None)) for s, v in zip(self._states, got, strict=True)}
        retyped = next((f"{name} is now {b}, it was {a}" for a, b in kinds if a != b), "")
        return replace(found, fault=retyped) if retyped else found

    def _run(self, model: onnx.ModelProto) -> list[dict[str, Any]]:
        """The outputs on every input set."""
        session = Reference(self.source, model)
        return [session.run(feeds) for feeds in self.feeds]


def _around(before: Expectation, values: Mapping[str, Any]) -> Expectation:
    """The same roundings around other outputs."""
    ways = tuple(_moved(way, before.expected, values) for way in before.roundings)
    other = None if before.optimised is None else _moved(before.optimised, before.expected, values)
    return replace(before, expected=values, roundings=ways, optimised=other)


def _moved(way: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    def shifted(name: str) -> Any:
        if isinstance(before[name], list) or not is_real(before[name]):
            return way[name]
        return way[name].astype("float64") - before[name] + after[name]

    return {name: shifted(name) for name in after}


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
