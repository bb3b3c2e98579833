"""Finds the operators of the plan that a user names: by node or tensor, by operator, or by what became of a node of the file."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..load.node_names import name_nodes_apart
from ..load.read_model import read_model
from ..load.source import Source
from ..load.structure import all_graphs, bodies
from ..quantities import count
from .plans import ExplainedPlan

if TYPE_CHECKING:
    import onnx

MOST_NAMES = 5
FRESH = re.compile(r"(.+)_\d+")
"""A name that the graph made after that of a tensor (passes/graph/node.py)."""


@dataclass(frozen=True, slots=True)
class FoundNodes:
    """The operators that a word names, and how they follow from the file."""

    numbers: tuple[int, ...]
    """Of the plan's nodes; empty where it is no longer computed."""
    traces: tuple[str, ...] = ()
    """What became of a node of the file that the plan does not have under that name; what a tensor is that no node writes."""


def find_nodes(plan: ExplainedPlan, model: Source, word: str) -> FoundNodes:
    """`word`: the name of a node or tensor, or an operator. Raises UsageError with the nearest names if nothing has that name."""
    exact = [k for k, node in enumerate(plan.nodes) if word in (node.name, *node.writes)]
    if exact:
        return FoundNodes(tuple(exact))
    kinds = {name.lower(): node.kind for node in plan.nodes for name in (node.kind.rpartition("::")[2], node.kind)}
    kind = kinds.get(word.lower())
    if kind is not None:
        return FoundNodes(tuple(k for k, node in enumerate(plan.nodes) if node.kind == kind))
    graph = plan.work.graph
    if word in graph.inputs or word in graph.constants:
        readers = tuple(k for k, node in enumerate(plan.nodes) if word in node.reads)
        what = "an input of the model" if word in graph.inputs else "a constant"
        read = f"read by {count(len(readers), 'operator')}" if readers else "which nothing reads"
        return FoundNodes(readers, (f"`{word}` is {what}, {read}",))
    source = _Untouched(model)
    wanted = source.called(word)
    if not wanted:
        raise UsageError(f"no node and no operator of the model is called '{word}'", help=_nearest(word, plan, source))
    numbers: dict[int, None] = {}
    traces: dict[str, None] = {}
    for node in wanted:
        found, how = source.trace(node, plan)
        numbers.update(dict.fromkeys(found))
        traces[how] = None
    return FoundNodes(tuple(numbers), tuple(traces))


class _Untouched:
    """The model as the user wrote it, before anything was folded or recovered."""

    def __init__(self, source: Source) -> None:
        model = read_model(source)[0]
        name_nodes_apart(model.graph)
        self._main: list[onnx.NodeProto] = list(model.graph.node)
        self.nodes = list(self._main)
        self._owners: dict[int, str] = {}
        for node in self._main:
            for body in bodies(node):
                inner = [one for part in all_graphs(body) for one in part.node]
                self.nodes.extend(inner)  # kept alive: ids are theirs
                self._owners.update((id(one), node.name or node.output[0]) for one in inner)
        self._tensors = {name for node in self.nodes for name in node.output}
        self._readers: Mapping[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self._main:
            for name in node.input:
                self._readers[name].append(node)

    def called(self, word: str) -> list[onnx.NodeProto]:
        named = [node for node in self.nodes if word in (node.name, *node.output)]
        return named or [node for node in self.nodes if node.op_type.lower() == word.lower()]

    def trace(self, node: onnx.NodeProto, plan: ExplainedPlan) -> tuple[tuple[int, ...], str]:
        """The numbers of the plan's operators that compute its result now, and a sentence about it."""
        what = f"{node.op_type} `{node.name or node.output[0]}`"
        owner = self._owners.get(id(node))
        if owner is not None:
            outer = next(other for other in self._main if owner in (other.name, *other.output))
            at = [k for k, other in enumerate(plan.nodes) if set(other.writes) & set(outer.output)]
            return tuple(at), f"{what} is in the body of {outer.op_type} `{owner}`, which runs whole on one device"
        writer = {name: k for k, other in enumerate(plan.nodes) for name in other.writes}
        made = {name: k for name, k in writer.items() if name not in self._tensors}
        named_after = {match[1]: k for name, k in made.items() if (match := FRESH.fullmatch(name))}
        rules = {d.tensor: d.rule for d in plan.work.decisions if d.taken}
        pending, seen = deque(node.output), set(node.output)
        removed_by = next((rules[name] for name in node.output if name in rules), "")
        while pending:
            name = pending.popleft()
            if name in writer:
                k = writer[name]
                return (k,), _became(what, plan, k, rules.get(name), name in node.output)
            if name in named_after:
                return (named_after[name],), _became(what, plan, named_after[name])
            if name in plan.work.graph.constants:
                return (), f"{what} was folded into a constant: it does not depend on the model's inputs"
            for reader in self._readers[name]:
                fresh = [out for out in reader.output if out not in seen]
                seen.update(fresh)
                pending.extend(fresh)
        return (), f"{what} was removed{f' by {removed_by}' if removed_by else ''}: nothing uses its result"


def _became(what: str, plan: ExplainedPlan, number: int, rule: str | None = "", itself: bool = False) -> str:
    """rule: that made it, "" where it is not known; None where no rule did."""
    node = plan.nodes[number]
    now = f"{node.kind} `{node.name or node.writes[0]}`"
    if rule is not None:
        return f"{what} became part of {now}{f' (rule {rule})' if rule else ''}"
    return f"{what} is {now} now" if itself else f"{what} was simplified away; its result is now computed by {now}"


def _nearest(word: str, plan: ExplainedPlan, source: _Untouched) -> str:
    names = dict.fromkeys([node.name for node in plan.nodes if node.name])
    names.update(dict.fromkeys(node.name for node in source.nodes if node.name))
    kinds = dict.fromkeys(node.op_type for node in source.nodes)
    close = [*_close(word, kinds), *_close(word, names)]
    close += [name for name in names if word.lower() in name.lower()]
    shown = list(dict.fromkeys(close))[:MOST_NAMES]
    if shown:
        return f"did you mean {' or '.join(repr(name) for name in shown)}?"
    return "leave the name out to see every operator that is not on the preferred device"


def _close(word: str, names: Iterable[str]) -> Sequence[str]:
    return get_close_matches(word, list(names), n=3, cutoff=0.75)
