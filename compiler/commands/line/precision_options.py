"""The options of `autoglmc compile` that choose number formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import FILE


def precision_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, as keyword arguments precision, accuracy, calibration_data, calibration_method,
    weights_method and save_quantized."""
    options = (
        click.option(
            "--calibration-data",
            metavar="DATA",
            help="Inputs as the model will meet them: a folder of .npz or .npy files, one .npz of batches, or SCRIPT.py:FUNCTION "
            "that yields dicts of arrays. A form is chosen for each operator then, unless --precision forces one.",
        ),
        click.option(
            "--precision",
            metavar="P",
            help="Compile the float model in fp16, int8 (8-bit activations and weights; without calibration data weights alone), int16 "
            "(16-bit activations, 8-bit weights) or int4 (weights alone), wherever a device of the target runs that; auto chooses a form "
            "for each operator, within the accuracy limit; fp32 leaves it as it is. Of several entries int4, int8 and auto are about "
            "weights, which the entries share.",
        ),
        click.option(
            "--accuracy",
            multiple=True,
            metavar="LIMIT",
            help='How accurate the bundle has to be, by its own run: "cosine >= 0.99" or "top1 drop <= 1 %" against the float model on '
            'held-out samples; "SCRIPT.py:FUNCTION >= 0.9" or "… drop <= 1 %" by what your function returns. --precision auto chooses '
            "forms until all are kept. Repeatable.",
        ),
        click.option("--calibration-method", metavar="M", help="Ranges of tensors: minmax, percentile or entropy [default: minmax]."),
        click.option(
            "--weights-method",
            metavar="M",
            help="How weights in blocks (4 bits) are rounded: rtn, to the nearest step, or gptq, so that products with the calibration "
            "samples change least [default: gptq for int4 with calibration data, else rtn].",
        ),
        click.option("--save-quantized", type=FILE, help="Write the quantised model as plain ONNX, too: FILE.onnx."),
    )
    for option in reversed(options):
        command = option(command)
    return command
