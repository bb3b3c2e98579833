"""`autoglmc check`: a model or a target before it is used."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, json_option
from .output import echo_json, echo_wrapped, stage


@click.command("check")
@click.argument("file", type=FILE)
@json_option
def check_command(file: Path, as_json: bool) -> int:
    """Check a model or a .hw file before it is used.

    For a model: five named checks. The exit code is 0 if all pass, else 1, for use in CI.
    """
    if file.suffix == ".hw":
        from ..target_files import load_target

        target = load_target(file, warn=stage)
        devices = ", ".join(device.name for device in target.devices)
        results = [{"name": "target", "status": "pass", "message": f"'{target.name}' with {devices}", "help": ""}]
    else:
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
