"""What the devices say of a bundle's operators, joined to the operators of its segment files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...bundle.manifest import Manifest
from ..quote import PLACE, SourceLines
from ..why_screen.operator import change_lines, verdict_lines

Data = Mapping[str, Any]
SEGMENT, READS, WRITES = 0, 5, 6
"""Of an operator's row in page data."""


def explained(facts: Data, shown: Data, manifest: Manifest, source: SourceLines) -> dict[str, Any]:
    """The data of the page. facts: `OperatorsExplained.as_json()`; shown: {"tensors", "operators"} of the page (operators.py).

    - device, latency, tries: as they are in facts; subjects too, with what `autoglmc why` prints of each: `say` of a device, `tried`.
    - operators: for each of the page, [subject, seconds, tensor], or None. An operator that a rewrite made of a placed one writes no tensor
      of that; it goes with the next operator that does, along the graph of its segment, and `tensor` says which one that writes.
    - lines: text by `file:line` of every line of a .hw file that is named.
    - elsewhere: operators that the explained plan has on another device than the bundle.
    """
    rows = _joined(facts["tensors"], shown)
    devices = [manifest.segments[one[SEGMENT]].device for one in shown["operators"]]
    elsewhere = sum(row is not None and facts["subjects"][row[0]]["runs_on"] != on for row, on in zip(rows, devices, strict=True))
    subjects = [_in_words(subject) for subject in facts["subjects"]]
    kept = {name: facts[name] for name in ("device", "latency", "tries")}
    return {**kept, "subjects": subjects, "operators": rows, "elsewhere": elsewhere, "lines": dict(_lines(subjects, source))}


def _in_words(subject: Data) -> dict[str, Any]:
    devices = [{**one, "say": list(verdict_lines(one, False))} for one in subject["devices"]]
    return {**subject, "devices": devices, "tried": list(change_lines(subject["changes"], False))}


def _joined(known: Mapping[str, Sequence[Any]], shown: Data) -> list[Any]:
    """A row for each operator of the page; found from the last to the first, each segment for itself."""
    names = [tensor[0] for tensor in shown["tensors"]]
    rows: list[Any] = []
    later: dict[tuple[int, str], list[Any]] = {}
    for one in reversed(shown["operators"]):
        segment, written = one[SEGMENT], [names[k] for k in one[WRITES]]
        found = next(([*known[name], name] for name in written if name in known), None)
        found = found or next((later[segment, name] for name in written if (segment, name) in later), None)
        if found is not None:
            later.update(((segment, names[k]), found) for k in one[READS] if names[k] not in known)
        rows.append(found)
    return rows[::-1]


def _lines(value: Any, source: SourceLines) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        for place in PLACE.finditer(value):
            line = source.line(place[1], int(place[2]))
            if line:
                yield place[0], " ".join(line.split())
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _lines(one, source)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _lines(one, source)
