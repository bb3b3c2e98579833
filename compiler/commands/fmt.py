"""`autoglmc fmt`: the canonical layout of .hw files."""

from __future__ import annotations

from pathlib import Path

import click

from .line.options import FILE
from .line.output import Output, echo_json, output_options

QUIET = "Do not list the files that change."


@click.command("fmt", short_help="Format .hw files.")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; list files that would change and exit with 1 if there are any.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the result instead of writing it.")
@output_options(quiet=QUIET)
def fmt_command(files: tuple[Path, ...], check: bool, to_stdout: bool, out: Output) -> int:
    """Format .hw files: indentation, blank lines, columns.

    Meaning, comments and line breaks inside a statement stay as they are. Files that change are listed; a file with syntax
    errors is not touched.
    """
    from ...grammar import HwError
    from ..errors import UsageError
    from ..hw.format_files import format_files, write_in_place

    if check and to_stdout:
        raise UsageError("--check and --stdout exclude each other")
    done, errors = format_files(files)
    changed = [file for file in done if file.changed]
    for file in [] if check or to_stdout else changed:
        write_in_place(file.path, file.text)
    if errors:
        raise HwError(tuple(errors))
    if out.as_json:
        texts = {"texts": {str(file.path): file.text for file in done}} if to_stdout else {}
        echo_json({"changed": [str(file.path) for file in changed], **texts})
    elif to_stdout:
        click.echo("".join(file.text for file in done), nl=False)
    elif not out.quiet:
        for file in changed:
            click.echo(file.path)
    return int(check and bool(changed))
