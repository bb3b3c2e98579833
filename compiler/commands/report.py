"""`autoglmc report`: a bundle as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from .line.explain_bundle import explain_bundle
from .line.options import FILE, entry_option, target_option, trust_option
from .line.output import Output, output_options

OUTPUT = "The file to write [default: BUNDLE.html, or BUNDLE.svg, in the current folder]."
SVG = "Write only this drawing, as an SVG file: segments by device, the predicted schedule, or the arena."
MODEL = "The model that the bundle was compiled from: plan it again, and show what devices say of its operators."
TARGET = "With --model: the .hw file or stock target that it was compiled for [default: the stock target of that name]."
RECORD = "Draw a measurement of the bundle beside its prediction: a file of `bench --record` or `run --record`. Repeatable."
OPEN = "Open the page in the browser."


@click.command("report", short_help="Show a bundle as one HTML page.")
@click.argument("bundle", type=FILE)
@click.option("-o", "--output", type=FILE, help=OUTPUT)
@click.option("--open", "shown", is_flag=True, help=OPEN)
@click.option("--svg", "drawing", type=click.Choice(["partition", "timeline", "memory"]), help=SVG)
@click.option("--model", type=FILE, help=MODEL)
@target_option(required=False, help=TARGET)
@click.option("--record", "records", type=FILE, multiple=True, help=RECORD)
@entry_option
@trust_option
@output_options(quiet="Print nothing.")
def report_command(
    bundle: Path,
    output: Path | None,
    shown: bool,
    drawing: str | None,
    model: Path | None,
    target: str | None,
    records: tuple[Path, ...],
    entry: str,
    trust: tuple[Path, ...],
    out: Output,
) -> int:
    """Write a compiled BUNDLE as one HTML file that needs no network: verdict and limits, partition, timeline, memory, numbers, decisions.

    Without --model and --record everything on it comes from the bundle. With --model it also says what each device said of each operator,
    what that would cost there, and the smallest change that would move it. --json prints the data of the page.
    """
    from ..errors import UsageError
    from ..output_file import check_file_place, write_file
    from ..report.page.measured import read_measured
    from ..report.page.page_data import Beside, page_data
    from ..report.page.render import render_page, render_svg
    from ..report.quote import NO_SOURCE, source_of
    from ..run.bundle import Bundle
    from .line.output import echo_json

    if target is not None and model is None:
        raise UsageError("--target goes with --model", help="give the model that the bundle was compiled from as well")
    suffix = ".html" if drawing is None else ".svg"
    place = Path(f"{bundle.resolve().name}{suffix}") if output is None else output
    check_file_place(place, "the page" if drawing is None else "the drawing", (suffix,))
    whole = Bundle.load(bundle, trust=trust)
    entry = entry or next((one.name for one in whole.manifest.entries), "")
    chosen, why, source = whole.entry(entry), None, NO_SOURCE
    measured = tuple((path.name, read_measured(path, chosen)) for path in records)
    if model is not None:
        with out.progress() as tell:
            why, machine = explain_bundle(chosen, model, target, tell)
            source = source_of(machine)
    record = next((one for one in whole.manifest.entries if one.name == entry), None)
    beside = Beside(why=why, source=source, measured=measured, entry=record, phases=whole.manifest.phases)
    data = page_data(chosen, beside)
    if entry:
        others = [one.name for one in whole.manifest.entries if one.name != entry]
        out.note(f"the page is about the entry {entry}" + (f"; --entry shows {', '.join(others)}" if others else ""))
    write_file(place, render_page(data) if drawing is None else render_svg(data, drawing))
    if out.as_json:
        echo_json(data)
    else:
        out.note(f"wrote {place}")
    if shown:
        click.launch(place.resolve().as_uri())
    return 0
