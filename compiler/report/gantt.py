"""A timeline in characters: a line per device, a digit per column for the request it runs."""

from __future__ import annotations

from rich.text import Text

from ..quantities import time
from ..run.timeline import StepSpan, Timeline
from .printable import printable

COLUMNS = 72
"""Of the picture, without the names of its lanes; fewer on a narrow screen, but no less than FEWEST."""
FEWEST = 10
MOST = 300
"""Spans beyond which only the first requests are shown: more are no picture."""
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
IDLE = "·"
GAP = 2


def gantt(line: Timeline, columns: int = COLUMNS) -> list[Text]:
    """Lines to print; none for an empty timeline."""
    spans = _shown(line)
    if not spans:
        return []
    begin, end = min(span.begin for span in spans), max(span.end for span in spans)
    column = (end - begin) / columns or 1e-9
    width = max(map(len, map(printable, line.lanes)))
    lines = []
    for lane in line.lanes:
        text = Text(f"{printable(lane):<{width + GAP}}")
        for span in _columns([s for s in spans if s.lane == lane], begin, column, columns):
            if span is None:
                text.append(IDLE, style="dim")
            else:
                text.append(str(span.request % 10), style=COLOURS[span.request % len(COLOURS)])
        lines.append(text)
    kept = max(span.request for span in spans) + 1
    part = "" if len(spans) == len(line.spans) else f"; the first {kept} requests"
    return [*lines, Text(f"a column is {time(column)}, a digit the request's last{part}", style="dim")]


def columns_within(line: Timeline, room: int) -> int:
    """Columns of a picture that with the names of its lanes takes so many."""
    names = max((len(printable(lane)) for lane in line.lanes), default=0)
    return min(max(room - names - GAP, FEWEST), COLUMNS)


def _shown(line: Timeline) -> list[StepSpan]:
    if len(line.spans) <= MOST:
        return list(line.spans)
    each = len({span.step for span in line.spans})
    return [span for span in line.spans if span.request < max(MOST // each, 1)]


def _columns(spans: list[StepSpan], begin: float, column: float, columns: int) -> list[StepSpan | None]:
    """Per column the span that takes at least half of it; a span that nothing else would show gets the column that it takes most of."""
    taken: list[StepSpan | None] = [None] * columns
    for span in spans:
        first, last = int((span.begin - begin) / column), min(int((span.end - begin) / column), columns - 1)
        shares = {k: _share(span, begin + k * column, column) for k in range(min(first, last), last + 1)}
        wide = [k for k, share in shares.items() if share >= 0.5]
        most = max(shares, key=lambda k: shares[k])
        for k in wide or ([most] if taken[most] is None else []):
            taken[k] = span
    return taken


def _share(span: StepSpan, start: float, column: float) -> float:
    return (min(span.end, start + column) - max(span.begin, start)) / column
