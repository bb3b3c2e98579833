"""`autoglmc new-target`: a target to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from .line.options import FILE
from .line.output import Output, echo_json, output_options

QUIET = "Print only the file's name."


@click.command("new-target", short_help="Write a target to fill in.")
@click.argument("name")
@click.option("-o", "--output", type=FILE, help="The file to write [default: NAME.hw].")
@output_options(quiet=QUIET)
def new_target_command(name: str, output: Path | None, out: Output) -> int:
    """Write a commented target to fill in.

    It contains no numbers: everything that only you know is a `?`, which `autoglmc check` reports until it is replaced.
    An existing file is not overwritten.
    """
    from ..errors import UsageError
    from ..hw.skeleton import skeleton

    path = output or Path(f"{name}.hw")
    if path.suffix != ".hw":
        raise UsageError(f"cannot write {path}: a target is written as .hw", help="name a .hw file with -o")
    try:
        text = skeleton(name)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"'{path}' exists and is not overwritten", help="choose another name, or use -o FILE") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"folder '{path.parent}' does not exist") from None
    if out.as_json:
        echo_json({"file": str(path), "open": text.count("?")})
    else:
        click.echo(path if out.quiet else f"{path}: replace every `?`, then run `autoglmc check {path}`")
    return 0
