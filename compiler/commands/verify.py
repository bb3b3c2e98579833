"""`autoglmc verify`: a bundle against its model."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, emulate_option, inputs_option, json_option
from .output import echo_json, stage


@click.command("verify")
@click.argument("model", type=FILE)
@click.argument("bundle", type=FILE)
@emulate_option
@inputs_option
@json_option
def verify_command(model: Path, bundle: Path, emulate: bool, inputs: Path | None, as_json: bool) -> int:
    """Compare BUNDLE with the untouched MODEL.

    Both run on inputs made up for the model; outputs and tensors between segments are compared.
    """
    from ..run.array_files import read_arrays
    from ..run.bundle import Bundle

    given = None if inputs is None else read_arrays(inputs)
    result = Bundle.load(bundle).verify(model, emulate=emulate, progress=None if as_json else stage, inputs=given)
    if as_json:
        echo_json(result.as_json())
    else:
        from ..report.terminal import print_verified

        print_verified(result)
    return 0 if result.passed else 1
