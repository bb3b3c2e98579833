"""The screen of `autoglmc export`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..quantities import count, size
from .layout import console, print_table, say, short

MOST_STATES = 4
"""Names that are shown."""


def print_exported(facts: Mapping[str, Any], quiet: bool = False) -> None:
    """quiet: the file's name alone."""
    screen = console()
    if quiet:
        screen.print(facts["file"], soft_wrap=True, markup=False)
        return
    say(screen, "file", [f"{facts['file']}  {size(facts['bytes'])}"])
    say(screen, "graph", [_graph(facts)])
    if facts["functions"]:
        say(screen, "functions", [_function(name, one) for name, one in facts["functions"].items()])
        say(screen, "states", _states(facts["functions"]))
    if facts["notes"]:
        say(screen, "notes", facts["notes"])
    say(screen, "verified", list(_verdict(facts)))
    if facts["parity"] is not None:
        rows = [
            (short(one["name"]), one["inputs"], f"{one['difference']:.3g}", f"{one['range']:.3g}", f"{one['relative']:.2g}")
            for one in facts["parity"]["outputs"]
        ]
        print_table(screen, ("output", "furthest off on"), ("largest difference", "range", "of range"), rows)
    if facts["accuracy"]:
        print_table(
            screen, ("beside the float model",), ("samples", "cosine", "least", "top-1"), [_accuracy(one) for one in facts["accuracy"]]
        )


def _function(name: str, one: Mapping[str, Any]) -> str:
    tokens = f", {count(one['tokens'], 'token')} at once" if "tokens" in one else ""
    return f"{name}: {count(one['operators'], 'operator')}{tokens}"


def _states(functions: Mapping[str, Any]) -> list[str]:
    first = next(iter(functions.values()))
    if not first["states"]:
        return ["none"]
    rows = f", {first['max_length']} rows each" if "max_length" in first else ", replaced as a whole by every run"
    names = list(first["states"])
    more = f", … {len(names) - MOST_STATES} more" if len(names) > MOST_STATES else ""
    return [f"{count(len(names), 'state')}{rows}: {', '.join(map(short, names[:MOST_STATES]))}{more}"]


def _accuracy(one: Mapping[str, Any]) -> tuple[str, ...]:
    samples = f"{one['samples']}{' held out' if one['held_out'] else ''}"
    top = "" if one["top1"] is None else f"{one['top1']:.1%}"
    return short(one["output"]), samples, f"{one['cosine']:.6f}", f"{one['least_cosine']:.6f}", top


def _graph(facts: Mapping[str, Any]) -> str:
    layout = "; inputs and outputs with four dims are NHWC" if facts["layout"] == "nhwc" else ""
    return f"{count(facts['source_operators'], 'operator')} of ONNX, {facts['operators']} after simplifying{layout}"


def _verdict(facts: Mapping[str, Any]) -> Iterator[str]:
    if not facts["verified"]:
        yield f"no: {facts['unverified']}"
    else:
        yield f"yes: {facts['parity']['judged']}"
