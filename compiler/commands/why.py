"""`autoglmc why`: why operators do not run where they could be fast, and what would change that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .line.complete import complete_devices
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.options import FILE, bucket_option, effort_option, shape_option, target_option
from .line.output import Output, echo_json, output_options

DEVICE = "The device to explain [default: the accelerator with the highest sustained peak]."
TRIES = "How many groups of operators are planned again with their change, to compute the gain."
VERBOSE = "Print every guess, every node and every change that was tried, with its reason."
QUIET = "Print only the plan and the change with the largest gain."


@click.command("why", short_help="Explain why operators are not on an accelerator.")
@click.argument("model", type=FILE, metavar="MODEL|BUNDLE")
@click.argument("node", required=False, default="", metavar="[NODE|OPERATOR]")
@target_option(required=False)
@shape_option
@bucket_option
@click.option("--device", metavar="NAME", help=DEVICE, shell_complete=complete_devices)
@click.option("--tries", type=click.IntRange(0, 1000), default=5, show_default=True, help=TRIES)
@effort_option
@limit_options
@output_options(VERBOSE, QUIET)
def why_command(
    model: Path,
    node: str,
    target: str | None,
    shapes: Sequence[str],
    bucket: str | None,
    device: str | None,
    tries: int,
    effort: float,
    out: Output,
) -> int:
    """Explain why operators of MODEL are not on the preferred device, and find the smallest change that would place them there.

    With the name of a node (as in the file), a tensor or an operator: what every device says of it. Changes are tried, not
    guessed: a rewrite, another dtype, a size, a frozen input, or a line of the target's table; then the model is planned again.

    Of a BUNDLE whose number formats were chosen: why operators stayed in fp32, and what they would be in other forms.
    """
    if model.is_dir():
        return _forms(model, node, out)
    if target is None:
        context = click.get_current_context()
        raise click.MissingParameter(ctx=context, param=next(one for one in context.command.params if one.name == "target"))
    from ..explain.as_json import as_json
    from ..explain.explain_model import explain_model
    from ..hw.buckets import bucket_shapes
    from ..load.bind_shapes import parse_shapes

    with out.progress() as tell:
        machine = read_target(target, tell)
        sizes = {**(bucket_shapes(machine, bucket) if bucket else {}), **parse_shapes(shapes)}
        tell("plan the model and try changes")
        facts = as_json(explain_model(model, machine, word=node, shapes=sizes, device=device, effort=effort, tries=tries))
    if out.as_json:
        echo_json(facts)
    else:
        from ..report.quote import source_of
        from ..report.why_screen.print_why import print_why

        print_why(facts, source_of(machine), out.verbose, out.quiet)
    return 0


def _forms(folder: Path, node: str, out: Output) -> int:
    from ..explain.bundle_forms import forms_of_bundle
    from ..run.bundle import Bundle

    facts = forms_of_bundle(Bundle.load(folder).manifest, node, str(folder))
    if out.as_json:
        echo_json(facts)
    else:
        from ..report.units import print_forms

        print_forms(facts, out.verbose)
    return 0
