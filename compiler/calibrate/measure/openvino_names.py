"""What the operators that OpenVINO runs were made of, and what stands beside those whose names it made up itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ORIGINAL = "originalLayersNames"
FURTHEST = 8
"""Operators on the way to one that has a name: an attention becomes about as many."""
OF_FUNCTION = re.compile(r"_[A-Za-z]\w*_\d+$")
"""Behind the tensor that an operator writes, in the names of what its ONNX function is made of: t31_attention_36."""


@dataclass(frozen=True, slots=True)
class Names:
    """Of an operator that is run."""

    made_of: tuple[str, ...]
    near: tuple[str, ...]
    """The tensor of the function that it comes from; then names of operators that read what it writes, nearest first, then of those that
    write what it reads."""


NAMELESS = Names((), ())


def names_in(ordered: Sequence[Any]) -> dict[str, Names]:
    """By the name of each operator of OpenVINO's runtime model, given in an order in which it can run."""
    made_of = {operator.get_friendly_name(): _made_of(operator) for operator in ordered}
    before: dict[str, list[str]] = {name: [] for name in made_of}
    behind: dict[str, list[str]] = {name: [] for name in made_of}
    for operator in ordered:
        name = operator.get_friendly_name()
        for port in operator.inputs():
            source = port.get_source_output().get_node().get_friendly_name()
            before[name].append(source)
            behind.setdefault(source, []).append(name)
    found = {}
    for name, own in made_of.items():
        beside = (
            other for way in (behind, before) for one in _along(name, way) for other in (one, *_functions(one), *made_of.get(one, ()))
        )
        found[name] = Names(own, tuple(dict.fromkeys((*_functions(name), *beside))))
    return found


def _along(name: str, way: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Breadth first, each once."""
    seen, edge = {name}, [name]
    for _ in range(FURTHEST):
        edge = [other for one in edge for other in way.get(one, ()) if other not in seen]
        edge = list(dict.fromkeys(edge))
        seen.update(edge)
        yield from edge


def _made_of(operator: Any) -> tuple[str, ...]:
    """By the segment's names; of what an ONNX function was made of, also the tensor that the function writes."""
    facts = operator.get_rt_info()
    if ORIGINAL not in facts:
        return ()
    value = facts[ORIGINAL]
    text = value if isinstance(value, str) else str(value.astype(str))
    return tuple(dict.fromkeys(spelled for name in text.split(",") if name for spelled in (name, *_functions(name))))


def _functions(name: str) -> Iterator[str]:
    """Longest first."""
    end = len(name)
    while (end := name.rfind("_", 0, end)) > 0:
        if OF_FUNCTION.fullmatch(name, end):
            yield name[:end]
