"""`autoglmc compile`: a model into a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..quantities import time
from .options import FILE, bucket_option, emulate_option, json_option, shape_option
from .output import echo_json, stage
from .pass_options import pass_arguments, pass_options


@click.command("compile")
@click.argument("model", type=FILE)
@click.option("--target", required=True, metavar="FILE|NAME", help="A .hw file, or a stock target (see `autoglmc targets`).")
@click.option("-o", "--output", type=FILE, help="Bundle folder [default: MODEL.TARGET/ beside the model].")
@click.option("--effort", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help="Times the solver's usual time limit.")
@click.option("--search-attempts", type=click.IntRange(min=1), metavar="N", help="Plans to compile and verify at most [default: 32].")
@click.option(
    "--search-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End the search by the clock as well: no attempt begins after that [default: no clock, so that equal input gives equal bytes].",
)
@click.option("--no-verify", is_flag=True, help="Do not run the bundle against the model.")
@shape_option
@bucket_option
@emulate_option
@pass_options
@json_option
def compile_command(
    model: Path,
    target: str,
    output: Path | None,
    effort: float,
    search_attempts: int | None,
    search_time: float | None,
    no_verify: bool,
    shapes: Sequence[str],
    bucket: str | None,
    emulate: bool,
    as_json: bool,
    stop_after: str | None,
    timings: bool,
    **watched: Any,
) -> int:
    """Compile MODEL into a bundle for a target."""
    from ..driver.compile_model import compile_model
    from ..driver.search_budget import MOST_ATTEMPTS, SearchBudget
    from ..hw.buckets import bucket_shapes
    from ..hw.load_target import load_target
    from ..load.bind_shapes import parse_shapes

    machine = load_target(target, warn=stage)
    sizes = {**(bucket_shapes(machine, bucket) if bucket else {}), **parse_shapes(shapes)}
    options: dict[str, Any] = {"shapes": sizes, "output": output, "effort": effort, "progress": None if as_json else stage}
    options |= pass_arguments(**watched, show=stage)
    budget = SearchBudget(attempts=search_attempts or MOST_ATTEMPTS, seconds=search_time)
    if stop_after is not None:
        return _stop(stop_after, model, machine, options, as_json, timings)
    result = compile_model(model, machine, verify=not no_verify, emulate=emulate, search=budget, **options)
    if as_json:
        echo_json(result.as_json())
    else:
        from ..report.terminal import print_compiled

        print_compiled(result)
        _echo_timings(result.seconds if timings else {})
    return 0


def _stop(name: str, model: Path, target: Any, options: Mapping[str, Any], as_json: bool, timings: bool) -> int:
    from ..driver.compile_model import stop_after

    stopped = stop_after(name, model, target, **options)
    if as_json:
        echo_json(stopped.as_json())
    else:
        click.echo(f"{stopped.path}  {stopped.operators} operators, after {stopped.after}")
        _echo_timings(stopped.seconds if timings else {})
    return 0


def _echo_timings(seconds: Mapping[str, float]) -> None:
    for name, value in seconds.items():
        click.echo(f"{'timings' if name == next(iter(seconds)) else '':<10}{name:<18}{time(value):>13}")
