"""The option --report of `compile`: the page of `report`, with what only the compilation knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import FILE

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...driver.result import CompileResult
    from ...load.bind_shapes import Shapes

BESIDE = "-"
HELP = (
    "Write the bundle as one HTML page too, with what devices say of each operator; it plans the model several times more "
    "[default of FILE: BUNDLE.html beside the bundle]."
)


def report_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--report", type=FILE, is_flag=False, flag_value=BESIDE, metavar="[FILE]", help=HELP)(command)


def page_place(report: Path, output: Path | None, model: Path, target: Target) -> Path:
    """Where the page will be. Raises UsageError where it cannot be written; to be asked before the model is compiled."""
    from ...load.source import beside
    from ...output_file import check_file_place

    folder = output if output is not None else beside(model, target.name)
    place = folder.with_name(f"{folder.name}.html") if str(report) == BESIDE else report
    check_file_place(place, "the page", (".html",), "--report")
    return place


def write_page(place: Path, result: CompileResult, target: Target, *, model: Path | None, shapes: Shapes, effort: float) -> None:
    """model: what the bundle was compiled from, with the sizes of its dims; None where that is no file, as when numbers were chosen and not
    saved: then the page is without what devices say. effort: of the compilation."""
    from ...explain.explain_operators import explain_operators
    from ...output_file import write_file
    from ...report.page.page_data import Beside, page_data
    from ...report.page.render import render_page
    from ...report.quote import source_of

    why = None
    if model is not None:
        why = explain_operators(model, target, shapes=shapes, plan=result.work.placement, effort=effort).as_json()
    data = page_data(result.bundle, Beside(why=why, source=source_of(target), compiled=result.as_json()))
    write_file(place, render_page(data))
