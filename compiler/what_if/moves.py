"""What moved between two plans of one model: operators by group, as `why` names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .outcome import Outcome, Place


@dataclass(frozen=True, slots=True)
class Move:
    """Operators of one kind that went the same way."""

    operator: str
    before: str
    """A device; "" where the other plan has the operator and this one does not: it is spelled otherwise there."""
    after: str
    nodes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """operator, before, after, count, nodes."""
        return {
            "operator": self.operator,
            "before": self.before or None,
            "after": self.after or None,
            "count": len(self.nodes),
            "nodes": list(self.nodes),
        }


def moves(before: Outcome, after: Outcome) -> tuple[Move, ...]:
    """Largest groups first; () where either has no plan."""
    if not before.places or not after.places:
        return ()
    found: dict[tuple[str, str, str], list[str]] = {}
    for key, name in _changed(before.places, after.places):
        found.setdefault(key, []).append(name)
    groups = [Move(*key, tuple(names)) for key, names in found.items()]
    return tuple(sorted(groups, key=lambda move: (-len(move.nodes), move.operator, move.before, move.after)))


def _changed(before: Mapping[str, Place], after: Mapping[str, Place]) -> Iterator[tuple[tuple[str, str, str], str]]:
    """((operator, device before, device after), node), by the tensor that both plans write."""
    for tensor in dict.fromkeys((*before, *after)):
        was, now = before.get(tensor), after.get(tensor)
        if was is not None and now is not None and was.operator == now.operator:
            if was.device != now.device:
                yield (was.operator, was.device, now.device), was.name
            continue
        if was is not None:
            yield (was.operator, was.device, ""), was.name
        if now is not None:
            yield (now.operator, "", now.device), now.name
