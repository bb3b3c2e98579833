"""`autoglmc compare`: models beside targets, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .line.complete import complete_targets
from .line.invocation import read_target
from .line.options import FILE, bucket_option, emulate_option, shape_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..compare.rows import Row

TARGETS = "A .hw file, or a stock target (see `autoglmc targets`); several with commas between them, or with the option again."
MEASURED = "A file of `autoglmc bench --record`, which may come from a phone: its numbers stand beside the prediction. Repeatable."
NO_VERIFY = "Do not compare the bundles with their models: faster, and the table then says that none was."
CSV = "Write the table to this file as well."
HTML = "Write the table as a page for a browser as well, with bars; it needs no network."


@click.command("compare", short_help="Compare models and targets in one table.")
@click.argument("models", type=FILE, nargs=-1, required=True, metavar="MODEL…")
@click.option("--target", "targets", multiple=True, required=True, metavar="FILE|NAME[,…]", help=TARGETS, shell_complete=complete_targets)
@click.option("--measured", multiple=True, type=FILE, help=MEASURED)
@click.option("--no-verify", is_flag=True, help=NO_VERIFY)
@click.option("--csv", "table", type=FILE, help=CSV)
@click.option("--html", "page", type=FILE, help=HTML)
@shape_option
@bucket_option
@emulate_option
@output_options()
def compare_command(
    models: Sequence[Path],
    targets: Sequence[str],
    measured: Sequence[Path],
    no_verify: bool,
    table: Path | None,
    page: Path | None,
    shapes: Sequence[str],
    bucket: str | None,
    emulate: bool,
    out: Output,
) -> int:
    """Compile every MODEL for every target, keep nothing, and show side by side what each takes: latency, runs a second, peak memory,
    energy, package, operators per device. What was measured stands beside what is predicted.

    Exit code 1 where a model cannot be compiled for a target; its row says why.
    """
    from ..compare.compare import Asked, compare
    from ..compare.rows import read_measured
    from ..hw.buckets import bucket_shapes
    from ..load.bind_shapes import parse_shapes
    from ..output_file import check_file_place

    names = [name for several in targets for name in several.split(",") if name]
    if not names:
        raise UsageError("--target names no target", help="a .hw file, or a stock target: `autoglmc targets`")
    if table is not None:
        check_file_place(table, "the table", (".csv",), "--csv")
    if page is not None:
        check_file_place(page, "the page", (".html",), "--html")
    found = read_measured(measured)
    with out.progress() as tell:
        machines = tuple(read_target(name, tell) for name in names)
        sizes = {**(bucket_shapes(machines[0], bucket) if bucket else {}), **parse_shapes(shapes)}
        asked = Asked(tuple(models), machines, sizes, verify=not no_verify, emulate=emulate, measured=found)
        rows = list(compare(asked, tell))
    _write(rows, table, page, out)
    _print(rows, out)
    return 1 if any(row.problem for row in rows) else 0


def _write(rows: Sequence[Row], table: Path | None, page: Path | None, out: Output) -> None:
    from ..compare.table import csv_of
    from ..output_file import write_file
    from ..report.page.compared_page import compared_page

    for place, written in ((table, csv_of), (page, compared_page)):
        if place is not None:
            write_file(place, written(rows))
            out.note(f"wrote {place}")


def _print(rows: Sequence[Row], out: Output) -> None:
    from ..report.sweeps.compared import print_compared

    echo_json([row.as_json() for row in rows]) if out.as_json else print_compared(rows)
