"""`autoglmc export`: a model as one file of another format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .line.failures import NOT_VERIFIED
from .line.limit_options import limit_options
from .line.options import FILE, inputs_option, shape_option
from .line.output import Output, echo_json, output_options

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
    inputs: tuple[Path, ...],
    no_verify: bool,
    out: Output,
) -> int:
    """Convert MODEL into one file of another format, for whoever runs that without autoglmc. No target is needed.

    A .tflite, .onnx or .aimodel is compared with MODEL on generated inputs before it is put in its place.

    Exit code 0: written and verified; 4: written, but not verified, as an .mlpackage, which runs on Apple machines only; 1: nothing is
    written.
    """
    from ..export.export import export_model
    from ..load.bind_shapes import parse_shapes
    from ..run.array_files import read_samples

    given = read_samples(inputs) or None
    with out.progress() as tell:
        layout = "nhwc" if last else "nchw"
        made = export_model(
            model,
            output,
            shapes=parse_shapes(shapes),
            layout=layout,
            verify=not no_verify,
            inputs=given,
            calibration=calibration,
            tell=tell,
        )
    if out.as_json:
        echo_json(made.as_json())
    else:
        from ..report.exported import print_exported

        print_exported(made.as_json(), out.quiet)
    return 0 if made.verified else NOT_VERIFIED
