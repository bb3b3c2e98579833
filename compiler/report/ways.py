"""The lines of a screen about how a step of a decoder is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..quantities import time

WRITTEN = {
    "extended": "attention writes the new rows into the caches",
    "appended": "new rows go out, and the session puts them behind the others",
    "placed": "new rows go out, and are put at their places before anything reads the caches",
}
"""What becomes of the new rows of a step, by way."""
OTHERWISE = {
    "extended": "attention that writes them itself",
    "appended": "rows that the session appends",
    "placed": "rows put at their places first",
}
THERE = {
    "extended": "attention writes new rows itself",
    "appended": "the session appends new rows",
    "placed": "new rows are put at their places first",
}
Facts = Mapping[str, Any]


def way_lines(ways: Sequence[Facts]) -> Iterator[str]:
    """The way that was taken, and what became of the other one. ways: WayRecords as plain data."""
    taken = next(one for one in ways if one["taken"])
    yield WRITTEN[taken["name"]]
    for other in (one for one in ways if not one["taken"]):
        yield f"{OTHERWISE[other['name']]}: {_other(taken, other)}"


def _other(taken: Facts, other: Facts) -> str:
    if other["reason"] or other["seconds"] is None or taken["seconds"] is None:
        return f"not planned: {other['reason']}" if other["reason"] else "not planned"
    more = other["seconds"] - taken["seconds"]
    words = f"{time(other['seconds'])} predicted, {time(abs(more))} {'more' if more >= 0 else 'less'}"
    by_cost = other["cost"] is not None and other["cost"] != other["seconds"]
    return f"{words}, but no better by the objective" if by_cost else words


def asked_line(ways: Sequence[Facts], shown: str | None, found: Sequence[str]) -> str:
    """Where operators that were asked about are, of the ways to write a step; "" where they are in all that were planned. shown: the way
    that the screen shows; found: those that have them."""
    planned = [one for one in ways if one["seconds"] is not None or one["name"] in found]
    without = [THERE[one["name"]] for one in planned if one["name"] not in found]
    if shown is None or not found or not without:
        return ""
    taken = next(one for one in ways if one["taken"])["name"]
    there = " and ".join(THERE[name] for name in found)
    said = "as it is here" if taken in found else "which is not taken here: what follows is about that"
    return f"there where {there}, {said}; not where {' or '.join(without)}"
