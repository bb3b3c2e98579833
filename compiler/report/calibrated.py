"""The screen of `autoglmc calibrate`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from ..quantities import count, reach, size, time
from .layout import console, print_table, say
from .printable import printable

WORST = 5
MOST_OPERATORS = 3
UNITS = {"operations": "GFLOPS", "elements": "GE/s", "bytes": "GB/s"}
Facts = Mapping[str, Any]


def print_calibrated(facts: Facts, verbose: bool = False) -> None:
    """facts: `calibrate.as_json`. verbose: every model, every line, and what was refused."""
    screen = console()
    for failure in facts["failures"]:
        say(screen, "FAILED", [failure], style="red")
    say(screen, "measured", [f"{facts['measured']}: {count(facts['numbers'], 'number')} fitted", *facts["notes"]])
    say(screen, "held out", list(_holdout(facts["holdout"])))
    rows = facts["networks"] if verbose else facts["networks"][:WORST]
    cells = [(printable(row["case"]), *_times(row), f"{row['outside'] * 100:.0f} %", _fault(row["at_fault"])) for row in rows]
    heads = ("measured", "predicted", "error", "outside", "furthest off")
    if cells:
        print_table(screen, ("model" if verbose else "worst models",), heads, cells)
    _print_lines(screen, facts["lines"], verbose)
    if facts["without_line"]:
        say(screen, "no line", [f"for {', '.join(facts['without_line'])}: too few were measured, the roofline prices them"])
    say(screen, "cliffs", [_cliff(one) for one in facts["cliffs"]])
    say(screen, "memory", list(_memory(facts["memory"])))
    refused = [f"{printable(one['case'])}: {printable(one['why'])}" for one in facts["refused"]]
    say(screen, "refused", refused if verbose or len(refused) <= WORST else [*refused[:WORST], f"and {len(refused) - WORST} more (-v)"])
    remarks = list(map(printable, facts["remarks"]))
    say(screen, "remarks", remarks if verbose or len(remarks) <= WORST else [*remarks[:WORST], f"and {len(remarks) - WORST} more (-v)"])
    say(screen, "file", [facts["file"] or "none was written (--keep-failed writes it)"])


def _holdout(facts: Facts) -> Iterator[str]:
    if not facts["predictions"]:
        yield "no network could be held out: measure at least two models; there is no interval"
        return
    shares = ", ".join(f"{share * 100:.0f} % within {float(error) * 100:.0f} %" for error, share in facts["within"].items())
    tried = count(facts["predictions"], "prediction")
    yield f"{shares}, median {facts['median'] * 100:.2g} %, over {tried} of models that the fit had not seen"
    width = "no interval: too few models" if facts["interval"] is None else f"90 % are within {reach(facts['interval'])}"
    yield f"{width}; {facts['refused'] * 100:.0f} % are refused, more than 10 % of their time being outside what was measured"


def _times(row: Facts) -> tuple[str, str, str]:
    return time(row["measured"]), time(row["predicted"]), f"{row['error'] * 100:+.0f} %"


def _fault(one: Facts | None) -> str:
    return "" if one is None else f"{one['operator']} {time(one['measured'])} for {time(one['predicted'])}"


def _print_lines(screen: Console, lines: Sequence[Facts], verbose: bool) -> None:
    cells = [_line(line) for line in lines] if verbose else []
    if cells:
        print_table(screen, ("line",), ("rate", "n", "residual"), cells)


def _line(line: Facts) -> tuple[str, ...]:
    names, where = line["operators"], f" where {line['where']}" if line["where"] else ""
    more = " …" if len(names) > MOST_OPERATORS else ""
    spread = "" if line["spread"] is None else f"{line['spread'] * 100:.0f} %"
    rate = f"{line['rate'] / 1e9:.3g} {UNITS[line['measure']]}"
    return f"{', '.join(names[:MOST_OPERATORS])}{more}{where}", rate, str(line["samples"]), spread


def _cliff(one: Facts) -> str:
    shapes = " ".join("x".join(map(str, shape or ())) or "1" for shape in one["shapes"])
    more = "and is predicted to take nothing" if one["times"] is None else f"{one['times']:.0f} times what is predicted"
    return (
        f"{one['operator']} on {shapes} takes {time(one['measured'])}, {more} ({printable(one['name'])} of "
        f"{printable(one['case'])}): another spelling may pay, or the runtime is at fault"
    )


def _memory(rows: Sequence[Facts]) -> Iterator[str]:
    known = [row for row in rows if row["predicted"]]
    if known:
        off = sorted(abs(row["predicted"] / row["private"] - 1) for row in known if row["private"])
        middle, most = off[len(off) // 2] * 100, off[-1] * 100
        yield f"private memory of {count(len(known), 'bundle')} predicted within {middle:.0f} % (median), {most:.0f} % at most"
    for row in rows:
        if row["predicted"] is None:
            yield f"{printable(row['case'])}: {size(int(row['private']))} private"
