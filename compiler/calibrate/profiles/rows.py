"""The CSV of a profile: operators with seconds, and rows of the kinds LATENCY (required) and MEMORY; read with every mistake's line."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from ...errors import UsageError, UserError
from ...quantities import count

COLUMNS = (
    "model", "segment", "operator", "kind", "inputs", "outputs", "attributes", "dtype", "calls", "seconds_p10", "seconds_median", "runs",
)  # fmt: skip
LATENCY, MEMORY = "LATENCY", "MEMORY"
MOST_BYTES, MOST_ROWS, MOST_HEAD, LONGEST_CELL = 64 << 20, 500_000, 200, 20_000
HEAD = re.compile(r"#\s*([A-Za-z][\w .-]{0,60}?)\s*:\s*(.{0,500})")
LONGEST_SECONDS = 3600.0
PRIVATE = re.compile(r"(?:^|[\s;])private=(\d{1,18})(?:$|[\s;])")
HELP = "docs/calibration.md describes the columns"


class ProfileError(UserError):
    """A profile that cannot be used."""

    kind = "profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line."""

    line: int
    model: str
    segment: str
    """Its index in the bundle; "" where that has one segment of the device."""
    operator: str
    """As the segment, or the runtime, calls it."""
    kind: str
    """Operator type, or LATENCY, or MEMORY."""
    inputs: str
    outputs: str
    attributes: str
    dtype: str
    calls: float
    """In one run of the model."""
    seconds_p10: float
    """Of all calls of one run, the tenth percentile over the runs."""
    seconds_median: float
    runs: int

    @property
    def private(self) -> int | None:
        """Bytes, of a MEMORY row: `private=BYTES` in its attributes."""
        found = PRIVATE.search(self.attributes)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A whole file."""

    name: str
    head: Mapping[str, str] = field(default_factory=dict)
    """`# key: value` lines: device, runtime, threads, clock, temperature."""
    rows: tuple[Row, ...] = ()


def text_of(path: Path) -> str:
    """Raises UsageError."""
    try:
        if not path.is_file():
            raise UsageError(f"{path} is not a file", help="give a profile: a CSV or JSON file")
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is larger than 64 MiB, too large for a profile", help="profile fewer runs")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        line = path.read_bytes()[: problem.start].count(b"\n") + 1
        raise ProfileError("the file is not text in UTF-8", where=f"{path}:{line}", help="save it as UTF-8") from None
    except (OSError, ValueError) as problem:
        raise UsageError(f"cannot read {path}: {problem}") from None
    if "\0" in text:
        raise ProfileError("the file holds NUL bytes: it is not text", where=f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}")
    return text


def parse_profile(text: str, name: str) -> ProfileFile:
    """Raises ProfileError."""
    head: dict[str, str] = {}
    lines = text.splitlines()
    first = 0
    while first < len(lines) and (lines[first].startswith("#") or not lines[first].strip()):
        found = HEAD.match(lines[first])
        if found and len(head) < MOST_HEAD:
            head[found[1].lower()] = found[2].strip()
        first += 1
    rows = tuple(_rows("\n".join(lines[first:]), name, first))
    if not rows:
        raise ProfileError("the profile has no rows", where=name, help=HELP)
    return ProfileFile(name, head, rows)


def _rows(text: str, name: str, before: int) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        titles = tuple(cell.strip() for cell in next(reader, ()))
        if titles != COLUMNS:
            raise ProfileError(_wrong_columns(titles), where=f"{name}:{before + 1}", help=HELP)
        for number, cells in enumerate(reader):
            if not cells or cells[0].startswith("#"):
                continue
            if number >= MOST_ROWS:
                raise ProfileError(f"more than {count(MOST_ROWS, 'row')}", where=f"{name}:{before + reader.line_num}")
            yield _row(cells, before + reader.line_num, name)
    except csv.Error as problem:
        raise ProfileError(f"not a CSV file: {problem}", where=f"{name}:{before + reader.line_num}", help=HELP) from None


def _wrong_columns(titles: Sequence[str]) -> str:
    missing = [title for title in COLUMNS if title not in titles]
    more = [title[:40] for title in titles if title not in COLUMNS]
    if not missing and not more:
        return f"the columns are in another order than {','.join(COLUMNS)}"
    told = [f"lacks the columns {', '.join(missing)}" if missing else "", f"has unknown columns {', '.join(more[:12])}" if more else ""]
    return f"the first line {' and '.join(filter(None, told))}"


def _row(cells: Sequence[str], line: int, name: str) -> Row:
    where = f"{name}:{line}"
    if len(cells) != len(COLUMNS):
        raise ProfileError(f"the line has {count(len(cells), 'cell')}, the first line {len(COLUMNS)}", where=where, help=HELP)
    given = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
    measured = given["kind"] != MEMORY
    numbers = {title: _number(given[title], title, where, measured) for title in ("calls", "seconds_p10", "seconds_median", "runs")}
    low, middle = numbers["seconds_p10"], numbers["seconds_median"]
    if low > middle:
        raise ProfileError(f"seconds_p10 is {low:g}, above seconds_median {middle:g}", where=where)
    if middle > LONGEST_SECONDS:
        raise ProfileError(f"seconds_median is {middle:g} s, more than an hour: is it in another unit?", where=where)
    texts = {each.name: given[each.name] for each in fields(Row) if each.name in given and each.name not in numbers}
    row = Row(line=line, calls=numbers["calls"], seconds_p10=low, seconds_median=middle, runs=int(numbers["runs"]), **texts)
    if row.kind == MEMORY and row.private is None:
        raise ProfileError("a MEMORY row has its bytes in the attributes: private=BYTES", where=where)
    if row.kind not in (MEMORY, LATENCY) and not row.operator:
        raise ProfileError("the operator has no name", where=where)
    return row


def _number(text: str, title: str, where: str, required: bool) -> float:
    if not text and not required:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        raise ProfileError(f"{title} is {text[:40]!r}, not a number", where=where) from None
    if not math.isfinite(value) or value < 0:
        raise ProfileError(f"{title} is {text[:40]}; it must be zero or more", where=where)
    return value


def with_latency(file: ProfileFile, seconds: float) -> ProfileFile:
    """With a LATENCY row for the one segment that it is of. Raises ProfileError where it has one, or is of several segments."""
    stated = next((row for row in file.rows if row.kind == LATENCY), None)
    if stated is not None:
        raise ProfileError("the profile has a LATENCY row, and --latency states another", where=f"{file.name}:{stated.line}")
    of = {(row.model, row.segment) for row in file.rows if row.kind != MEMORY}
    if len(of) != 1:
        raise ProfileError("--latency is of one model and segment, and the profile has several", where=file.name, help="add LATENCY rows")
    (model, segment), last = of.pop(), file.rows[-1]
    whole = Row(
        line=last.line, model=model, segment=segment, operator="", kind=LATENCY, inputs="", outputs="", attributes="", dtype="", calls=1.0,
        seconds_p10=seconds, seconds_median=seconds, runs=1,
    )  # fmt: skip
    return replace(file, rows=(*file.rows, whole))


def profile_text(file: ProfileFile) -> str:
    """The file as CSV."""
    out = io.StringIO()
    for key, value in file.head.items():
        out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in file.rows:
        writer.writerow([_cell(getattr(row, title)) for title in COLUMNS])
    return out.getvalue()


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.9g}"
