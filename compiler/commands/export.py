"""`autoglmc export`: a model as one file of another format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .line.entry_options import function_options
from .line.failures import NOT_VERIFIED
from .line.limit_options import limit_options
from .line.options import FILE, inputs_option, shape_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..export.functions import Entries

OUTPUT = "The file, whose suffix says what is written: .tflite, .onnx (simplified, plain operators), .mlpackage or .aimodel."
NHWC = "Inputs and outputs with four dims are NHWC in the .tflite file. [default: --nchw, all as in the model]"
CALIBRATION = "Write the .tflite file in int8, with scales from these samples: a folder of .npz, one .npz, or script.py:function."
NO_VERIFY = "Do not compare the file with the model; ends with 4."
QUIET = "Print only the file's name, or the error."


@click.command("export", short_help="Convert a model into one .tflite, .onnx, .mlpackage or .aimodel.")
@click.argument("model", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help=OUTPUT)
@shape_option
@click.option("--nhwc/--nchw", "last", default=False, help=NHWC)
@click.option("--calibration-data", "calibration", metavar="DATA", help=CALIBRATION)
@function_options
@inputs_option
@click.option("--no-verify", is_flag=True, help=NO_VERIFY)
@limit_options
@output_options(quiet=QUIET)
def export_command(
    model: Path,
    output: Path,
    shapes: Sequence[str],
    last: bool,
    calibration: str | None,
    buckets: Sequence[str],
    states: Sequence[str],
    max_length: int | None,
    given: Sequence[str],
    inputs: tuple[Path, ...],
    no_verify: bool,
    out: Output,
) -> int:
    """Convert MODEL into one file of another format, for whoever runs that without autoglmc. No target is needed.

    A .tflite, .onnx or .aimodel is compared with MODEL on generated inputs before it is put in its place. An .aimodel may have several
    functions (--bucket), and states that stay from run to run (--state): the caches of a decoder.

    Exit code 0: written and verified; 4: written, but not verified, as an .mlpackage, which runs on Apple machines only; 1: nothing is
    written.
    """
    from ..export.export import export_model
    from ..load.bind_shapes import parse_shapes
    from ..run.array_files import read_samples

    samples, entries = read_samples(inputs) or None, _entries(buckets, states, max_length, given)
    with out.progress() as tell:
        layout = "nhwc" if last else "nchw"
        made = export_model(
            model,
            output,
            shapes=parse_shapes(shapes),
            layout=layout,
            verify=not no_verify,
            inputs=samples,
            calibration=calibration,
            entries=entries,
            tell=tell,
        )
    if out.as_json:
        echo_json(made.as_json())
    else:
        from ..report.exported import print_exported

        print_exported(made.as_json(), out.quiet)
    return 0 if made.verified else NOT_VERIFIED


def _entries(buckets: Sequence[str], states: Sequence[str], max_length: int | None, given: Sequence[str]) -> Entries | None:
    """None where neither functions nor states are asked for."""
    from ..driver.entries.asked_entries import asked_entries
    from ..export.functions import Entries, Wanted
    from ..state.request import state_request

    state = state_request(states, max_length, given)
    if state is None and not buckets:
        return None
    asked = asked_entries(buckets, None, state)
    return Entries(wanted={name: Wanted(shapes=one.shapes, tokens=one.tokens) for name, one in asked.items()}, state=state)
