"""`autoglmc check`: a model or a target before it is used."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, json_option
from .output import echo_json, echo_wrapped


@click.command("check")
@click.argument("file", type=FILE)
@click.option("--strict", is_flag=True, help="Of a .hw file: warnings count as errors, and so do guesses that a limit rests on.")
@json_option
def check_command(file: Path, strict: bool, as_json: bool) -> int:
    """Check a model or a .hw file before it is used.

    For a model: five named checks. For a .hw file: everything there is to say about it and the files it includes.
    The exit code is 0 if all pass, else 1, for use in CI.
    """
    if file.suffix == ".hw":
        return _check_target(file, strict, as_json)
    from dataclasses import asdict

    from ..check_model import check_model

    results = [asdict(result) for result in check_model(file)]
    passed = all(result["status"] == "pass" for result in results)
    if as_json:
        echo_json({"file": str(file), "passed": passed, "checks": results})
    else:
        for result in results:
            echo_wrapped(f"{result['status']:<8}{result['name']:<10} {result['message']}")
            if result["help"]:
                echo_wrapped(f"{'':<19}help: {result['help']}")
    return 0 if passed else 1


def _check_target(file: Path, strict: bool, as_json: bool) -> int:
    """All messages on stderr, as a compiler does, or in the JSON; one line on stdout says what it is if it passes."""
    from ...grammar import HwError, render
    from ...grammar import as_json as message_json
    from ..printable import printable
    from ..target_files import analyse_target

    result = analyse_target(file, strict)
    found = result.diagnostics
    if any(one.severity == "error" or (strict and one.severity == "warning") for one in found):
        raise HwError(found)
    devices = [device.name for device in result.target.devices] if result.target else []
    what = f"'{result.target.name}' with {', '.join(devices)}" if result.target else "operator tables, no target"
    if as_json:
        check = {"name": "target", "status": "pass", "message": what, "help": ""}
        echo_json({"file": str(file), "passed": True, "checks": [check], "diagnostics": [message_json(one) for one in found]})
    else:
        for one in found:
            click.echo(printable(render(one), keep="\n"), err=True)
        echo_wrapped(f"{'pass':<8}{'target':<10} {what}")
    return 0
