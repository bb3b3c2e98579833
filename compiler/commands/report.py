"""`autoglmc report`: a bundle as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from .line.options import FILE, entry_option, trust_option
from .line.output import Output, output_options

OUTPUT = "The file to write [default: BUNDLE.html, or BUNDLE.svg, in the current folder]."
SVG = "Write only this drawing of the page, as an SVG file: the predicted schedule, or the arena."
OPEN = "Open the page in the browser."


@click.command("report", short_help="Show a bundle as one HTML page.")
@click.argument("bundle", type=FILE)
@click.option("-o", "--output", type=FILE, help=OUTPUT)
@click.option("--open", "shown", is_flag=True, help=OPEN)
@click.option("--svg", "drawing", type=click.Choice(["timeline", "memory"]), help=SVG)
@entry_option
@trust_option
@output_options(quiet="Print nothing.")
def report_command(
    bundle: Path, output: Path | None, shown: bool, drawing: str | None, entry: str, trust: tuple[Path, ...], out: Output
) -> int:
    """Write a compiled BUNDLE as one HTML file that needs no network: verdict and limits, partition, timeline, memory, numbers, decisions.

    Everything on it comes from the bundle, the model is not needed. --json prints the data of the page.
    """
    from ..output_file import check_file_place, write_file
    from ..report.page.page_data import page_data
    from ..report.page.render import render_page, render_svg
    from ..run.bundle import Bundle
    from .line.output import echo_json

    suffix = ".html" if drawing is None else ".svg"
    place = Path(f"{bundle.resolve().name}{suffix}") if output is None else output
    check_file_place(place, "the page" if drawing is None else "the drawing", (suffix,))
    whole = Bundle.load(bundle, trust=trust)
    entry = entry or next((one.name for one in whole.manifest.entries), "")
    data = page_data(whole.entry(entry))
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
