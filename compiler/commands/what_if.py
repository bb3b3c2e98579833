"""`autoglmc what-if`: what the plan would be if numbers of the target were others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .line.complete import complete_settings, complete_targets
from .line.failures import INTERRUPTED
from .line.invocation import read_target
from .line.options import FILE, bucket_option, effort_option, objective_option, shape_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ..report.progress import Progress
    from ..what_if.ask import Given
    from ..what_if.results import Results
    from ..what_if.sweep import Make, Swept

TARGETS = "A .hw file, or a stock target (see `autoglmc targets`); several with commas between them."
SET = "Another value for a number of the target: npu.dispatch=50us, dram.budget=200MiB, latency=12ms, cpu.rate.MatMul=90GFLOPS. Repeatable."
SWEEP = (
    "All of a number's values between two: npu.dispatch=20us..200us, 20us..200us:19 (so many), '20us..200us step 20us'. Twice: a grid of "
    "two numbers."
)
LIST = "List the numbers that can be set, with what the target says and where that is from."
PLOT = "Draw latency along the sweep into this file, .svg or .png (extra `sweep`)."
SAVE = "Keep every point in this .parquet file; what it has of an earlier run is not computed again (extra `sweep`)."
JOBS = "Processes that plan at the same time."
CLUSTER = "Plan on the workers of a Dask cluster: the address of its scheduler, tcp://HOST:8786 (extra `cluster`)."
VERBOSE = "Name every operator that moved."
QUIET = "Print only what changed: latency before and after, or where along a sweep the plan changes."


@click.command("what-if", short_help="Plan with other numbers of the target.")
@click.argument("models", type=FILE, nargs=-1, metavar="[MODEL]…")
@click.option("--target", required=True, metavar="FILE|NAME[,…]", help=TARGETS, shell_complete=complete_targets)
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help=SET, shell_complete=complete_settings)
@click.option("--sweep", "sweeps", multiple=True, metavar="PATH=A..B", help=SWEEP, shell_complete=complete_settings)
@click.option("--list", "listing", is_flag=True, help=LIST)
@click.option("--plot", metavar="FILE", type=FILE, help=PLOT)
@click.option("--save", metavar="FILE", type=FILE, help=SAVE)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help=JOBS)
@click.option("--cluster", metavar="ADDRESS", help=CLUSTER)
@shape_option
@bucket_option
@objective_option
@effort_option
@output_options(VERBOSE, QUIET)
def what_if_command(
    models: Sequence[Path],
    target: str,
    sets: Sequence[str],
    sweeps: Sequence[str],
    listing: bool,
    plot: Path | None,
    save: Path | None,
    jobs: int,
    cluster: str | None,
    shapes: Sequence[str],
    bucket: str | None,
    objective: str,
    effort: float,
    out: Output,
) -> int:
    """Plan MODEL as if numbers of the target were others, and show what that changes: latency, energy, memory, limits, and which
    operators move. Nothing is compiled or written but what --plot and --save name.

    --sweep tries a number's values between two, finds those at which the plan changes, and takes several models and targets.
    """
    targets = [name for name in target.split(",") if name]
    if listing:
        return _list(targets, out)
    _check(models, targets, sets, sweeps, plot, cluster, jobs)
    from ..what_if.ask import Given

    given = Given(
        models=tuple(models),
        targets=tuple(targets),
        sets=tuple(sets),
        sweeps=tuple(sweeps),
        sizes=tuple(shapes),
        bucket=bucket,
        effort=effort,
        objective=objective,
    )
    if len(models) == len(targets) == 1 and not sweeps and save is None and cluster is None:
        return _compare(given, out)
    return _sweep(given, _maker_of(jobs, cluster), plot, save, out)


def _check(
    models: Sequence[Path], targets: Sequence[str], sets: Sequence[str], sweeps: Sequence[str], plot: Path | None, cluster: str | None,
    jobs: int,
) -> None:  # fmt: skip
    """Raises UsageError for options that ask for nothing, or exclude each other; and what --plot lacks."""
    if not targets:
        raise UsageError("--target names no target", help="a .hw file, or a stock target: `autoglmc targets`")
    if not models:
        raise UsageError("there is no model to plan", help="name one, or several; --list shows the numbers of the target without one")
    if not sets and not sweeps:
        raise UsageError("nothing is set", help="for example --set npu.dispatch=50us or --sweep npu.dispatch=20us..200us; --list shows all")
    if len(sweeps) > 2:
        raise UsageError(f"{len(sweeps)} sweeps: one, or two for a grid", help="give other numbers with --set")
    if cluster is not None and jobs > 1:
        raise UsageError("--jobs and --cluster exclude each other", help="the cluster has as many workers as were started")
    if plot is not None:
        from ..what_if.plot import check_plot

        if not sweeps:
            raise UsageError("--plot needs a --sweep to draw")
        check_plot(plot)


def _list(targets: Sequence[str], out: Output) -> int:
    from ..hw.load_target import load_target
    from ..report.sweeps.what_if import print_numbers
    from ..what_if.all_numbers import all_numbers
    from ..what_if.compare import number_json

    if len(targets) != 1:
        raise UsageError("--list shows the numbers of one target", help="give one with --target")
    rows = [number_json(number) for number in all_numbers(load_target(targets[0]))]
    echo_json(rows) if out.as_json else print_numbers(rows)
    return 0


def _compare(given: Given, out: Output) -> int:
    """One model, one target, settings: the plan before and after."""
    from ..hw.load_target import find_target
    from ..report.sweeps.what_if import latencies, print_what_if
    from ..what_if.compare import compare
    from ..what_if.setting import check_apart, machine_of, read_setting
    from ..what_if.task import sizes_of

    with out.progress() as tell:
        machine = machine_of(find_target(given.targets[0]), read_target(given.targets[0], tell))
        settings = [read_setting(text, machine) for text in given.sets]
        check_apart(settings)
        sizes = sizes_of(machine.target, given.bucket, given.sizes)
        facts = compare(
            given.models[0], machine, settings, shapes=sizes, effort=given.effort, objective=given.objective, tell=tell, warn=tell.warn
        )
    if out.as_json:
        echo_json(facts)
    elif out.quiet:
        click.echo(latencies(facts))
    else:
        print_what_if(facts, out.verbose)
    return 0


@contextmanager
def _maker_of(jobs: int, cluster: str | None) -> Iterator[Make]:
    """Who makes the rows."""
    from ..what_if.sweep import make_here

    if cluster is not None:
        from ..what_if.cluster import Cluster

        with Cluster(cluster) as dask:
            yield dask
    elif jobs > 1:
        from ..what_if.crew import Crew

        with Crew(jobs) as crew:
            yield crew
    else:
        yield make_here


def _sweep(given: Given, made_by: Any, plot: Path | None, save: Path | None, out: Output) -> int:
    from ..report.sweeps.sweep import print_sweep

    results: Results | None = None
    try:
        with out.progress() as tell, ExitStack() as stack:
            if save is not None:
                from ..what_if.results import Results

                results = stack.enter_context(Results(save))
            swept = _swept(given, made_by, results, tell)
    except KeyboardInterrupt:
        if results is None:
            raise
        there = f"interrupted: {results.path} has what was done; the same command goes on from there"
        click.echo(there, err=True)
        return INTERRUPTED
    facts = swept.as_json()
    if plot is not None:
        from ..what_if.plot import plot as draw

        draw(facts, plot)
    if out.as_json:
        echo_json(facts)
    else:
        print_sweep(facts, out.quiet, "" if save is None else str(save))
    return int(all(row.error for row in swept.rows))


def _swept(given: Given, made_by: Any, results: Results | None, tell: Progress) -> Swept:
    from ..what_if.ask import read_ask
    from ..what_if.sweep import Maker, make_here, sweep
    from ..what_if.task import check_model

    ask = read_ask(given, tell.warn)
    keep: Callable[[Any], None] = (lambda row: None) if results is None else results.add
    with made_by as make:
        if len(ask.pairs) == 1 and make is make_here and not (results and results.rows):
            check_model(ask.pairs[0])  # where there is nothing else, its error is that of the command
        return sweep(ask, Maker(make, {} if results is None else results.rows, keep, tell))
