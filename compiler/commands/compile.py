"""`autoglmc compile`: a model into a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .line.deploy import Words, deploy_option, told_of, words_of
from .line.entry_options import entry_options
from .line.failures import NOT_VERIFIED
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.model_words import named_models
from .line.options import (
    FILE,
    effort_option,
    emulate_option,
    expect_option,
    objective_option,
    require_option,
    shape_option,
    target_option,
)
from .line.output import Output, echo_json, output_options
from .line.pass_options import pass_arguments, pass_options
from .line.precision_options import precision_options
from .line.prune_options import prune_options
from .line.report_option import page_place, report_option, write_page
from .line.resident_option import COMPILE, resident_option

if TYPE_CHECKING:
    from ...targets.model import Target

VERBOSE = "Print every stage with its time, every guess that decided and every tensor compared."
QUIET = "Print only the bundle's folder, or the error."


@click.command("compile", short_help="Compile a model into a bundle (the default command).")
@click.argument("models", type=FILE, nargs=-1, metavar="MODEL…")
@target_option(required=False)
@deploy_option
@click.option("-o", "--output", type=FILE, help="Bundle folder [default: MODEL.TARGET/ beside the model; NAME.TARGET/ of --deploy].")
@objective_option
@click.option(
    "--pareto",
    metavar="A,B",
    help="Print the plans of which none is better in everything: two or three of latency, memory, energy. Nothing is written without -o; "
    "with it a bundle for each, in FOLDER/1, FOLDER/2 …",
)
@effort_option
@click.option("--search-attempts", type=click.IntRange(min=1), metavar="N", help="Plans to compile and verify at most [default: 32].")
@click.option(
    "--search-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End the search by the clock as well: no attempt begins after that [default: no clock, so that equal input gives equal bytes].",
)
@click.option("--sign", metavar="KEY", type=FILE, help="Sign the bundle with this private key (ed25519, PEM): manifest.sig.")
@click.option(
    "--compress",
    is_flag=True,
    help="Keep the weights deflated: a smaller package, unpacked into a temporary folder whenever it is loaded, instead of mapped.",
)
@click.option(
    "--no-fallback",
    is_flag=True,
    help="Leave out weights of segments that were compiled ahead of time: they run only as compiled, and no CPU can take their place.",
)
@resident_option(COMPILE)
@click.option("--no-verify", is_flag=True, help="Do not compare the bundle with the model; ends with 4.")
@click.option("--allow-unverified", is_flag=True, help="End with 0 instead of 4 where the bundle is made, but not verified.")
@report_option
@require_option
@expect_option
@shape_option
@entry_options
@emulate_option
@precision_options
@prune_options
@pass_options
@limit_options
@output_options(VERBOSE, QUIET)
def compile_command(
    models: Sequence[Path],
    target: str | None,
    deploy: Path | None,
    output: Path | None,
    objective: str,
    pareto: str | None,
    effort: float,
    search_attempts: int | None,
    search_time: float | None,
    sign: Path | None,
    compress: bool,
    no_fallback: bool,
    resident: int | None,
    no_verify: bool,
    allow_unverified: bool,
    report: Path | None,
    required: str | None,
    expect: Path | None,
    shapes: Sequence[str],
    buckets: Sequence[str],
    states: Sequence[str],
    max_length: int | None,
    given: Sequence[str],
    cache_dtype: str | None,
    links: Sequence[str],
    emulate: bool,
    out: Output,
    stop_after: str | None,
    timings: bool,
    precision: str | None,
    calibration_data: str | None,
    calibration_method: str | None,
    weights_method: str | None,
    accuracy: Sequence[str],
    save_quantized: Path | None,
    prune: str | None,
    prune_layers: Sequence[str],
    save_pruned: Path | None,
    **watched: Any,
) -> int:
    """Compile MODEL for a target: an ONNX model into a folder of segments, weights and a schedule, verified against the model.

    Exit code 0: made and verified; 4: made, but not verified, as where a runtime is not installed; 1: nothing is written.

    `autoglmc MODEL --target a16` is the same: the word `compile` may be left out. Several MODELs become one bundle, joined by --link.
    --deploy FILE reads all of that from a file.
    """
    from ..driver.entries.compile_asked import check_joined, check_of_one_entry, compile_asked, several_entries
    from ..driver.result import CompileResult
    from ..driver.search_budget import MOST_ATTEMPTS, SearchBudget
    from ..hw.buckets import bucket_shapes
    from ..load.bind_shapes import parse_shapes
    from ..precision.asked_accuracy import asked_accuracy
    from ..precision.request import request_of
    from ..prune.request import precision_beside, prune_request
    from ..run.array_files import read_arrays
    from ..state.request import state_request

    stepped = (tuple(states), max_length, tuple(given), cache_dtype, tuple(buckets))
    words = Words(tuple(models), target or "", tuple(links), *stepped, tuple(shapes))
    words = words.checked() if deploy is None else words_of(deploy, words)
    models, target, links, states, max_length, given, cache_dtype, buckets, shapes = words.all
    if allow_unverified and required:
        raise UsageError("--allow-unverified and --require-verified exclude each other")
    pruned = prune_request(prune, prune_layers, calibration_data, save_pruned)
    numbers = request_of(precision_beside(pruned, precision), calibration_data, calibration_method, save_quantized, weights_method)
    if (numbers is not None or pruned is not None) and (pareto is not None or stop_after is not None):
        option = "--pareto" if pareto is not None else "--stop-after"
        other, file = ("--prune", "--save-pruned") if pruned is not None else ("--precision", "--save-quantized")
        raise UsageError(f"{option} and {other} exclude each other", help=f"give it the file of {file}")
    asked = asked_accuracy(accuracy)
    if asked and (pareto is not None or stop_after is not None):
        raise UsageError(f"{'--pareto' if pareto is not None else '--stop-after'} and --accuracy exclude each other")
    state = state_request(states, max_length, given, cache_dtype or "")
    named: dict[str, Path] = named_models(models) if len(models) > 1 else {"": models[0]}
    check_joined(named, links)
    model, several = models[0], several_entries(named, buckets, state)
    alone: dict[str, Any] = {"prune": pruned, "expect": expect, "no_fallback": no_fallback}
    whole: dict[str, Any] = {"sign": sign, "compress": compress, "resident": resident, "precision": numbers, "accuracy": asked}
    if report is not None and (pareto is not None or stop_after is not None):
        raise UsageError(f"{'--pareto' if pareto is not None else '--stop-after'} and --report exclude each other")
    if several:
        check_of_one_entry(alone | {"report": report, "pareto": pareto, "stop_after": stop_after})
    if resident is not None and (stop_after is not None or pareto is not None):
        raise UsageError(f"{'--pareto' if pareto is not None else '--stop-after'} and --resident exclude each other")
    if pareto is not None:
        _check_front(**watched, objective=objective != "latency", stop_after=stop_after)
    budget = SearchBudget(attempts=search_attempts or MOST_ATTEMPTS, seconds=search_time)
    with told_of(deploy), out.progress() as tell:
        machine = read_target(target, tell)
        if deploy is not None and output is None:
            output = deploy.parent / f"{words.name}.{machine.name}"
        place = None if report is None else page_place(report, output, model, machine)
        bucket = "" if several or not buckets else buckets[0]
        sizes = {**(bucket_shapes(machine, bucket) if bucket else {}), **parse_shapes(shapes)}
        options: dict[str, Any] = {"output": output, "effort": effort, "progress": tell}
        options |= pass_arguments(**watched, show=tell.show)
        if stop_after is not None:
            facts = _stop(stop_after, model, machine, options | {"shapes": sizes})
        else:
            options |= {"objective": objective, "verify": not no_verify, "emulate": emulate}
            options |= {"search": budget, "require_verified": required}
            alone["expect"] = None if expect is None else read_arrays(expect)
            if pareto is not None:
                return _pareto(pareto, model, machine, options | {"shapes": sizes} | alone | whole, out, bool(allow_unverified or required))
            said: dict[str, Any] = {"links": links, "buckets": buckets, "state": state, "shapes": parse_shapes(shapes)}
            result = compile_asked(named, machine, **said, alone=alone, **options, **whole)
            facts = result.as_json()
            if isinstance(result, CompileResult) and place is not None:
                tell("explain the operators")
                saved = save_quantized if numbers is not None else save_pruned
                made: dict[str, Any] = {"model": saved, "shapes": {}}
                if numbers is None and pruned is None:
                    made = {"model": model, "shapes": sizes}
                write_page(place, result, machine, effort=effort, **made)
                facts["report"] = str(place)
    _print(facts, machine, out, timings or out.verbose)
    if "report" in facts:
        out.note(f"wrote {facts['report']}")
    unverified = "bundle" in facts and not facts["verified"]
    return NOT_VERIFIED if unverified and not (allow_unverified or required) else 0


def _stop(name: str, model: Path, target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    from ..driver.compile_model import stop_after

    return stop_after(name, model, target, **options).as_json()


FRONTLESS = {
    "objective": "objective",
    "stop_after": "stop-after",
    "own": "pass",
    "print_after": "print-after",
    "verify_each": "verify-each",
}
"""Options that mean nothing for several plans of one model, or that the search for them does not know."""


def _check_front(**given: Any) -> None:
    """Raises UsageError for an option that --pareto would have to ignore."""
    for name, option in FRONTLESS.items():
        if given[name]:
            raise UsageError(f"--pareto and --{option} exclude each other")


def _pareto(quantities: str, model: Path, target: Target, options: Mapping[str, Any], out: Output, accept: bool) -> int:
    """The front as a table, and with an output folder its bundles; unless `accept`, 4 where one of them is not verified."""
    from ..driver.compile_model import compile_model
    from ..driver.pareto import pareto_front, quantities_of
    from ..report.sweeps.pareto import print_front

    kept = {name: options[name] for name in ("shapes", "effort", "progress", "disable") if name in options}
    found, points = pareto_front(model, target, quantities_of(quantities), **kept)
    facts, code, folder = found.as_json(), 0, options["output"]
    for number, (row, point) in enumerate(zip(facts["points"], points, strict=True), 1):
        if folder is not None:
            made = compile_model(model, target, **{**options, "output": folder / str(number), "plan": point.placement})
            row |= {"bundle": str(made.folder), "verified": made.verified}
            code = code if made.verified or accept else NOT_VERIFIED
    if out.as_json:
        echo_json(facts)
    else:
        print_front(facts)
    return code


def _print(facts: dict[str, Any], target: Target, out: Output, timings: bool) -> None:
    if out.as_json:
        echo_json(facts)
        return
    if "bundle" not in facts:
        click.echo(facts["model"] if out.quiet else f"{facts['model']}  {facts['operators']} operators, after {facts['after']}")
    elif out.quiet:
        click.echo(facts["bundle"])
    elif "entries" in facts:
        from ..report.entries import print_entries

        print_entries(facts, out.verbose)
    else:
        from ..report.compiled import print_compiled
        from ..report.quote import source_of

        print_compiled(facts, source_of(target), out.verbose)
    if timings and not out.quiet:
        from ..report.compiled import print_timings

        print_timings(facts["seconds"])
