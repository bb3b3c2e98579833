"""`autoglmc verify`: a bundle against its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .line.failures import NOT_VERIFIED
from .line.limit_options import limit_options
from .line.options import FILE, emulate_option, expect_option, inputs_option, require_option, trust_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..verify.report import VerifyReport
    from ..verify.required import Requirement

VERBOSE = "Print every tensor compared, and progress with times."
QUIET = "Print only the verdict."
AGAINST = "List where onnxruntime's own optimisations make MODEL wrong or fail on it, and which optimiser does. Needs no BUNDLE."


@click.command("verify", short_help="Compare a bundle with its model.")
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="MODEL… BUNDLE")
@emulate_option
@inputs_option
@expect_option
@require_option
@trust_option
@click.option("--against-runtime", is_flag=True, help=AGAINST)
@limit_options
@output_options(VERBOSE, QUIET)
def verify_command(
    paths: tuple[Path, ...],
    emulate: bool,
    inputs: tuple[Path, ...],
    expect: Path | None,
    required: str | None,
    trust: tuple[Path, ...],
    against_runtime: bool,
    out: Output,
) -> int:
    """Compare BUNDLE with the unmodified MODEL: outputs, and tensors between segments, on generated inputs. Of a bundle of several models
    any one, or all: then the models are also run one after the other, as links join them.

    Exit code 0: verified; 1: the bundle computes something else, or the comparison proves nothing; 4: it agrees with the model, but a
    runtime is not here, so that the CPU stood in for it. With --against-runtime alone, 1: onnxruntime is wrong about the model.
    """
    if len(paths) < 2 and not against_runtime:
        raise click.UsageError("Missing argument 'BUNDLE'.")
    if len(paths) > 2 and against_runtime:
        raise click.UsageError("--against-runtime is about one MODEL.")
    listed = _against_runtime(paths[0], inputs, out) if against_runtime else {}
    if len(paths) < 2:
        return _told(listed, out)
    return _against_bundle(paths[:-1], paths[-1], trust, emulate, inputs, expect, required, listed, out)


def _against_runtime(model: Path, inputs: tuple[Path, ...], out: Output) -> dict[str, Any]:
    from ..driver.against_runtime import against_runtime
    from ..inputs.samples import first_of
    from ..run.array_files import read_samples

    given = first_of(read_samples(inputs))
    with out.progress() as tell:
        return against_runtime(model, given, tell).as_json()


def _told(listed: dict[str, Any], out: Output) -> int:
    if out.as_json:
        echo_json(listed)
    else:
        from ..report.runtime_faults import print_against_runtime

        print_against_runtime(listed, out.verbose, out.quiet)
    return 0 if listed["right"] else 1


def _against_bundle(
    models: tuple[Path, ...],
    bundle: Path,
    trust: tuple[Path, ...],
    emulate: bool,
    inputs: tuple[Path, ...],
    expect: Path | None,
    required: str | None,
    listed: dict[str, Any],
    out: Output,
) -> int:
    from ..run.array_files import read_arrays, read_samples
    from ..run.bundle import Bundle
    from ..verify.required import check_met, requirement_of, unmet

    given, asked = read_samples(inputs) or None, requirement_of(required)
    expected = None if expect is None else read_arrays(expect)
    with out.progress() as tell:
        result = Bundle.load(bundle, trust=trust).verify(models, emulate=emulate, progress=tell, inputs=given, expect=expected)
    if out.as_json:
        more = {"runtime": listed} if listed else {}
        echo_json({**result.as_json(), "required": required, "missing": unmet(result, asked), **more})
    else:
        from ..report.verified import print_verified

        if listed:
            _told(listed, out)
        print_verified(result.as_json(), out.verbose, out.quiet)
        check_met(result, asked, str(bundle))
    return _exit_code(result, asked)


def _exit_code(result: VerifyReport, asked: Requirement | None) -> int:
    from ..verify.required import unmet

    if asked is not None:
        return 1 if unmet(result, asked) else 0
    return 0 if result.verified else NOT_VERIFIED if result.agrees else 1
