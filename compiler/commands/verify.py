"""`autoglmc verify`: a bundle against its model."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, emulate_option, inputs_option
from .output import Output, echo_json, output_options

VERBOSE = "Print every tensor compared, and progress with times."
QUIET = "Print only the verdict."


@click.command("verify", short_help="Compare a bundle with its model.")
@click.argument("model", type=FILE)
@click.argument("bundle", type=FILE)
@emulate_option
@inputs_option
@output_options(VERBOSE, QUIET)
def verify_command(model: Path, bundle: Path, emulate: bool, inputs: Path | None, out: Output) -> int:
    """Compare BUNDLE with the unmodified MODEL: outputs, and tensors between segments, on generated inputs.

    Exit code 0: verified; 1: the bundle computes something else, or the comparison proves nothing.
    """
    from ..run.array_files import read_arrays
    from ..run.bundle import Bundle

    given = None if inputs is None else read_arrays(inputs)
    with out.progress() as tell:
        result = Bundle.load(bundle).verify(model, emulate=emulate, progress=tell, inputs=given)
    if out.as_json:
        echo_json(result.as_json())
    else:
        from ..report.verified import print_verified

        print_verified(result.as_json(), out.verbose, out.quiet)
    return 0 if result.passed else 1
