"""`autoglmc verify`: a bundle against its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import NOT_VERIFIED
from .options import FILE, emulate_option, expect_option, inputs_option, require_option
from .output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..verify.report import VerifyReport
    from ..verify.required import Requirement

VERBOSE = "Print every tensor compared, and progress with times."
QUIET = "Print only the verdict."


@click.command("verify", short_help="Compare a bundle with its model.")
@click.argument("model", type=FILE)
@click.argument("bundle", type=FILE)
@emulate_option
@inputs_option
@expect_option
@require_option
@output_options(VERBOSE, QUIET)
def verify_command(
    model: Path, bundle: Path, emulate: bool, inputs: Path | None, expect: Path | None, required: str | None, out: Output
) -> int:
    """Compare BUNDLE with the unmodified MODEL: outputs, and tensors between segments, on generated inputs.

    Exit code 0: verified; 1: the bundle computes something else, or the comparison proves nothing; 4: it agrees with the model, but a
    runtime is not here, so that the CPU stood in for it.
    """
    from ..run.array_files import read_arrays
    from ..run.bundle import Bundle
    from ..verify.required import check_met, requirement_of, unmet

    given, asked = None if inputs is None else read_arrays(inputs), requirement_of(required)
    expected = None if expect is None else read_arrays(expect)
    with out.progress() as tell:
        result = Bundle.load(bundle).verify(model, emulate=emulate, progress=tell, inputs=given, expect=expected)
    if out.as_json:
        echo_json({**result.as_json(), "required": required, "missing": unmet(result, asked)})
    else:
        from ..report.verified import print_verified

        print_verified(result.as_json(), out.verbose, out.quiet)
        check_met(result, asked, str(bundle))
    return _exit_code(result, asked)


def _exit_code(result: VerifyReport, asked: Requirement | None) -> int:
    from ..verify.required import unmet

    if asked is not None:
        return 1 if unmet(result, asked) else 0
    return 0 if result.verified else NOT_VERIFIED if result.agrees else 1
