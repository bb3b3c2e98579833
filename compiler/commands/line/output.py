"""What a command prints, and how much: progress on stderr, results on stdout, JSON for programs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ...errors import clipped
from ...report.printable import printable

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...report.progress import Progress

CONTINUED = 19
"""Columns by which the rest of a wrapped line of `check` is indented."""


@dataclass(frozen=True, slots=True)
class Output:
    """How a command was told to print."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def progress(self) -> AbstractContextManager[Progress]:
        """Stages on stderr while the block runs; with --json as plain lines, with --quiet none."""
        from ...report.progress import progress

        return progress(quiet=self.quiet, timed=self.verbose, plain=self.as_json)

    def note(self, text: str) -> None:
        """A line on stderr about what was done, but with --quiet."""
        if not self.quiet:
            click.echo(printable(text), err=True)


def output_options(verbose: str = "", quiet: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds --json, and -q and -v where there is a text of what they do; the command gets them as one argument `out`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def called(*arguments: Any, as_json: bool, **named: Any) -> Any:
            out = Output(as_json, named.pop("quiet", False), named.pop("verbose", False))
            if out.quiet and out.verbose:
                raise click.UsageError("--quiet and --verbose exclude each other")
            return command(*arguments, **named, out=out)

        made = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout; errors too.")(called)
        if verbose:
            made = click.option("-v", "--verbose", is_flag=True, help=verbose)(made)
        return click.option("-q", "--quiet", is_flag=True, help=quiet)(made) if quiet else made

    return decorate


def echo_wrapped(line: str, indent: int = CONTINUED) -> None:
    """Wraps under itself on a terminal, or where COLUMNS is set; else as it is, since another program may look for words."""
    import textwrap

    text, width = printable(clipped(line)), screen_width()
    if width:
        text = textwrap.fill(text, width, subsequent_indent=" " * indent, replace_whitespace=False, break_on_hyphens=False)
    click.echo(text)


def echo_quotes(line: str, target: Target) -> None:
    """Below a line of text, the lines of the target's files that it names, cut to the screen."""
    from ...report.quote import source_of

    for quote in source_of(target).quotes(line):
        text, width = " " * CONTINUED + printable(quote), screen_width()
        click.echo(text if not width or len(text) <= width else f"{text[: width - 1]}…")


def screen_width() -> int:
    """Columns of stdout; 0 where it is no terminal and COLUMNS does not say."""
    import shutil

    from ...report.columns import NARROWEST, columns_of_environment

    return max(shutil.get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else columns_of_environment()


def echo_json(value: Any) -> None:
    """Indented, and readable as it is: no escapes but those JSON needs."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
