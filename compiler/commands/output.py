"""How verbs speak: progress on stderr, results on stdout, JSON for machines."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..report.printable import printable


def stage(message: str) -> None:
    """One line of progress; on stderr, so that stdout is the result."""
    click.echo(message, err=True)


def echo_wrapped(line: str) -> None:
    """Wraps under itself on a terminal; as it is elsewhere, where another program may look for words."""
    import shutil
    import textwrap

    text = printable(line)
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, 40)
        text = textwrap.fill(text, width, subsequent_indent=" " * 19, drop_whitespace=True, replace_whitespace=False)
    click.echo(text)


def echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
