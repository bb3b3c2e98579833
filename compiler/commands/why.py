"""`autoglmc why`: why operators do not run where they could be fast, and what would change that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .line.complete import complete_devices
from .line.entry_options import asked_entries, step_options
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.options import FILE, effort_option, shape_option, target_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ...targets.model import Target
    from ..run.bundle import Bundle
    from ..state.request import StateRequest

DEVICE = "The device to explain [default: the accelerator with the highest sustained peak]."
TRIES = "How many groups of operators are planned again with their change, to compute the gain."
VERBOSE = "Print every guess, every node and every change that was tried, with its reason."
QUIET = "Print only the plan and the change with the largest gain."


PLANNING = frozenset({
    "target", "shapes", "buckets", "states", "max_length", "given", "cache_dtype", "device", "tries", "effort",
})  # fmt: skip
"""Options that mean nothing for a bundle."""


@click.command("why", short_help="Explain why operators are not on an accelerator.")
@click.argument("model", type=FILE, metavar="MODEL|BUNDLE")
@click.argument("node", required=False, default="", metavar="[NODE|OPERATOR]")
@target_option(required=False)
@shape_option
@step_options
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
    buckets: Sequence[str],
    states: Sequence[str],
    max_length: int | None,
    given: Sequence[str],
    cache_dtype: str | None,
    device: str | None,
    tries: int,
    effort: float,
    out: Output,
) -> int:
    """Explain why operators of MODEL are not on the preferred device, and find the smallest change that would place them there.

    With the name of a node (as in the file), a tensor or an operator: what every device says of it. Changes are tried, not
    guessed: a rewrite, another dtype, a size, a frozen input, or a line of the target's table; then the model is planned again.

    With --state, or several --bucket: the same of each entry, and how a step of a decoder is written and what another way would take.

    Of a BUNDLE whose number formats were chosen: why operators stayed in fp32, and what they would be in other forms. Of a BUNDLE of
    several entries: where their operators run, how steps are written, which caches are copied and which weights stay in the file, and why.
    """
    if model.is_dir():
        _check_nothing_planned(model)
        return _bundle(model, node, out)
    if target is None:
        context = click.get_current_context()
        raise click.MissingParameter(ctx=context, param=next(one for one in context.command.params if one.name == "target"))
    from ..hw.buckets import bucket_shapes
    from ..load.bind_shapes import parse_shapes
    from ..state.request import state_request

    state = state_request(states, max_length, given, cache_dtype or "")
    with out.progress() as tell:
        machine = read_target(target, tell)
        several = state is not None or len(buckets) > 1
        sizes = {**(bucket_shapes(machine, buckets[0]) if buckets and not several else {}), **parse_shapes(shapes)}
        tell("plan the model and try changes")
        options: dict[str, Any] = {"word": node, "shapes": sizes, "device": device, "effort": effort, "tries": tries}
        facts = _entries(model, machine, buckets, state, tell, options) if several else _model(model, machine, options)
    if out.as_json:
        echo_json(facts)
    else:
        from ..report.quote import source_of
        from ..report.why_screen.entries import print_model_entries
        from ..report.why_screen.print_why import print_why

        (print_model_entries if several else print_why)(facts, source_of(machine), out.verbose, out.quiet)
    return 0


def _check_nothing_planned(folder: Path) -> None:
    """Raises UsageError for an option that says how to plan: a bundle has its plan."""
    from ..errors import UsageError

    context = click.get_current_context()
    chosen = (one for one in context.command.params if isinstance(one, click.Option) and one.name in PLANNING)
    for option in chosen:
        if context.get_parameter_source(option.name or "") == click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{option.opts[-1]} is about a model that is planned anew, and this is a bundle", where=str(folder), help="give the model"
            )


def _model(model: Path, machine: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    from ..explain.as_json import as_json
    from ..explain.explain_model import explain_model

    return as_json(explain_model(model, machine, **options))


def _entries(
    model: Path,
    machine: Target,
    buckets: Sequence[str],
    state: StateRequest | None,
    tell: Callable[[str], None],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    from ..explain.explain_entries import explain_entries

    entries = asked_entries(buckets, machine, state)
    tokens = {name: asked.tokens or 1 for name, asked in entries.items()}
    sizes = {name: asked.shapes for name, asked in entries.items()}
    return explain_entries(model, machine, sizes, tokens=tokens, state=state, tell=tell, **options)


def _bundle(folder: Path, node: str, out: Output) -> int:
    from ..report.units import print_forms
    from ..report.why_screen.entries import print_bundle_entries
    from ..run.bundle import Bundle

    facts = _bundle_facts(Bundle.load(folder), node)
    if out.as_json:
        echo_json(facts)
        return 0
    if "entries" in facts:
        print_bundle_entries(facts, out.verbose)
    if "units" in facts:
        print_forms(facts, out.verbose)
    return 0


def _bundle_facts(bundle: Bundle, node: str) -> dict[str, Any]:
    """Of its entries, where it has any, and of the forms that were chosen, where any were. Raises UsageError for a name in neither."""
    from ..errors import UsageError
    from ..explain.bundle_entries import entries_of_bundle
    from ..explain.bundle_forms import forms_of_bundle

    manifest, facts, problems = bundle.manifest, dict[str, Any](), list[UsageError]()
    asked: list[Callable[[], dict[str, Any]]] = []
    if manifest.entries:
        asked.append(lambda: entries_of_bundle(manifest, bundle.folder, node))
    if manifest.precision is not None or not asked:
        asked.append(lambda: forms_of_bundle(manifest, node, str(bundle.folder)))
    for facts_of in asked:
        try:
            facts |= facts_of()
        except UsageError as problem:
            problems.append(problem)
    if not facts:
        raise problems[0]
    return facts
