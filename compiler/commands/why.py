"""`autoglmc why`: why operators do not run where they could be fast, and what would change that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .line.complete import complete_devices
from .line.deploy import Words, deploy_option, told_of, words_of
from .line.entry_options import entry_options
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.model_words import named_models
from .line.options import effort_option, shape_option, target_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..run.bundle import Bundle

DEVICE = "The device to explain [default: the accelerator with the highest sustained peak]."
TRIES = "How many groups of operators are planned again with their change, to compute the gain."
VERBOSE = "Print every guess, every node and every change that was tried, with its reason."
QUIET = "Print only the plan and the change with the largest gain."


PLANNING = frozenset({
    "target", "deploy", "shapes", "buckets", "states", "max_length", "given", "cache_dtype", "links", "device", "tries", "effort",
})  # fmt: skip
"""Options that mean nothing for a bundle."""


@click.command("why", short_help="Explain why operators are not on an accelerator.")
@click.argument("words", type=click.Path(), nargs=-1, metavar="MODEL…|BUNDLE [NODE|OPERATOR]")
@target_option(required=False)
@deploy_option
@shape_option
@entry_options
@click.option("--device", metavar="NAME", help=DEVICE, shell_complete=complete_devices)
@click.option("--tries", type=click.IntRange(0, 1000), default=5, show_default=True, help=TRIES)
@effort_option
@limit_options
@output_options(VERBOSE, QUIET)
def why_command(
    words: Sequence[str],
    target: str | None,
    deploy: Path | None,
    shapes: Sequence[str],
    buckets: Sequence[str],
    states: Sequence[str],
    max_length: int | None,
    given: Sequence[str],
    cache_dtype: str | None,
    links: Sequence[str],
    device: str | None,
    tries: int,
    effort: float,
    out: Output,
) -> int:
    """Explain why operators of MODEL are not on the preferred device, and find the smallest change that would place them there.

    With the name of a node (as in the file), a tensor or an operator: what every device says of it. Changes are tried, not
    guessed: a rewrite, another dtype, a size, a frozen input, or a line of the target's table; then the model is planned again.

    With --state, several --bucket, several MODELs and --link, or --deploy: the same of each entry, and how a step of a decoder is written
    and what another way would take.

    Of a BUNDLE whose number formats were chosen: why operators stayed in fp32, and what they would be in other forms. Of a BUNDLE of
    several entries: where their operators run, how steps are written, which caches are copied and which weights stay in the file, and why.
    """
    models, node = _split(words, bool(links), deploy is not None)
    if len(models) == 1 and models[0].is_dir():
        _check_nothing_planned(models[0])
        return _bundle(models[0], node, out)
    from ..explain.explain_asked import explain_asked
    from ..explain.explain_entries import Question
    from ..load.bind_shapes import parse_shapes
    from ..state.request import state_request

    stepped = (tuple(states), max_length, tuple(given), cache_dtype, tuple(buckets))
    said = Words(models, target or "", tuple(links), *stepped, tuple(shapes))
    said = said.checked("words") if deploy is None else words_of(deploy, said)
    with told_of(deploy), out.progress() as tell:
        state = state_request(said.states, said.max_length, said.given, said.cache_dtype or "")
        machine = read_target(said.target, tell)
        tell("plan the model and try changes")
        question = Question(machine, node, device, effort, tries, tell)
        named = named_models(said.models) if len(said.models) > 1 else {"": said.models[0]}
        sizes = parse_shapes(said.shapes)
        facts = explain_asked(named, question, links=said.links, buckets=said.buckets, state=state, shapes=sizes)
    if out.as_json:
        echo_json(facts)
    else:
        from ..report.quote import source_of
        from ..report.why_screen.entries import print_model_entries
        from ..report.why_screen.print_why import print_why

        (print_model_entries if "entries" in facts else print_why)(facts, source_of(machine), out.verbose, out.quiet)
    return 0


def _split(words: Sequence[str], linked: bool, deployed: bool) -> tuple[tuple[Path, ...], str]:
    """The models, and the node that is asked about, "" for none. Beside --link, what is no file is that; beside --deploy all there is is.
    Raises UsageError for more words than mean something."""
    from ..errors import UsageError

    models = list(words)
    if not linked:
        models = models[: 0 if deployed else 1]
    elif len(models) > 1 and not Path(models[-1]).exists() and "=" not in models[-1]:
        models.pop()
    rest = words[len(models) :]
    if len(rest) > 1:
        help = "give one NODE or OPERATOR" if deployed else "join several models with --link; or give one NODE or OPERATOR"
        raise UsageError(f"{rest[1]!r} is one word too many", help=help)
    return tuple(map(Path, models)), rest[0] if rest else ""


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
