"""`autoglmc why`: why operators are not where they could be fast, and what would change that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .options import FILE, bucket_option, json_option, shape_option
from .output import echo_json, stage


@click.command("why")
@click.argument("model", type=FILE)
@click.argument("node", required=False, default="", metavar="[NODE|OPERATOR]")
@click.option("--target", required=True, metavar="FILE|NAME", help="A .hw file, or a stock target (see `autoglmc targets`).")
@shape_option
@bucket_option
@click.option("--device", metavar="NAME", help="The device to explain [default: the accelerator with the highest sustained peak].")
@click.option("--tries", type=click.IntRange(0, 1000), default=5, show_default=True, help="Groups whose gain is computed by planning anew.")
@click.option("--effort", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help="Times the solver's usual time limit.")
@json_option
def why_command(
    model: Path,
    node: str,
    target: str,
    shapes: Sequence[str],
    bucket: str | None,
    device: str | None,
    tries: int,
    effort: float,
    as_json: bool,
) -> int:
    """Say why operators of MODEL are not on the preferred device, and the smallest change that would place them there.

    With a node's name (as in the file), a tensor's name or an operator: what every device says of it. Changes are tried, not
    guessed: a rewrite, another dtype, a size, a frozen input, or a line of the target's table, and the model planned anew.
    """
    from ..explain.explain_model import explain_model
    from ..hw.buckets import bucket_shapes
    from ..hw.load_target import load_target
    from ..load.bind_shapes import parse_shapes

    machine = load_target(target, warn=stage)
    sizes = {**(bucket_shapes(machine, bucket) if bucket else {}), **parse_shapes(shapes)}
    told = explain_model(model, machine, word=node, shapes=sizes, device=device, effort=effort, tries=tries)
    if as_json:
        from ..explain.as_json import as_json as plain

        echo_json(plain(told))
    else:
        from ..report.why import print_why

        print_why(told)
    return 0
