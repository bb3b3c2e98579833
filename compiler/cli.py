"""The command line: arguments only. Everything that does something is imported when its verb runs, so that --help is instant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .errors import UsageError, did_you_mean
from .failures import INTERRUPTED, answer_failure
from .interruption import interruptible
from .pass_options import pass_arguments, pass_options
from .printable import printable

FILE = click.Path(path_type=Path)


class DefaultCompile(click.Group):
    """`autoglmc model.onnx --target a16`: a first word that is no verb is a model to compile."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            word = args[0]
            if not word.startswith("-") and not any(sign in word for sign in "./\\") and not Path(word).exists():
                raise UsageError(f"'{word}' is neither a verb nor a file", help=did_you_mean(word, self.commands))
            args = ["compile", *args]
        return super().parse_args(ctx, args)


def shape_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Size of a dynamic dim: batch=1,seq=32 by name, x=1x3x48x320 for a whole input. Repeatable."
    return click.option("--shape", "shapes", multiple=True, metavar="NAME=SIZE", help=text)(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable result on stdout, errors too.")(command)


def emulate_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Run segments whose runtime is not installed on the CPU instead; the output says which."
    return click.option("--emulate", is_flag=True, help=text)(command)


@click.group(cls=DefaultCompile, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="autoglmc", prog_name="autoglmc")
def autoglmc() -> None:
    """Compile an ONNX model for the devices of one machine.

    \b
    autoglmc MODEL --target a16        compile; the same as `autoglmc compile`
    autoglmc run BUNDLE --input x.npz  run a compiled bundle
    autoglmc verify MODEL BUNDLE       compare a bundle with its model
    autoglmc check MODEL               is this model fit for use?

    Exit codes: 0 done; 1 the model, target or bundle is at fault; 2 the arguments are; 3 autoglmc itself; 130 interrupted.
    """


@autoglmc.command("compile")
@click.argument("model", type=FILE)
@click.option("--target", required=True, metavar="FILE|NAME", help="A .hw file, or a stock target (see `autoglmc targets`).")
@click.option("-o", "--output", type=FILE, help="Bundle folder [default: MODEL.TARGET/ beside the model].")
@click.option("--effort", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help="Times the solver's usual time limit.")
@click.option("--no-verify", is_flag=True, help="Do not run the bundle against the model.")
@shape_option
@emulate_option
@pass_options
@json_option
def compile_command(
    model: Path,
    target: str,
    output: Path | None,
    effort: float,
    no_verify: bool,
    shapes: Sequence[str],
    emulate: bool,
    as_json: bool,
    stop_after: str | None,
    timings: bool,
    **watched: Any,
) -> int:
    """Compile MODEL into a bundle for a target."""
    from .bind_shapes import parse_shapes
    from .driver import compile_model
    from .target_files import load_target

    machine = load_target(target, warn=stage)
    options: dict[str, Any] = {"shapes": parse_shapes(shapes), "output": output, "effort": effort, "progress": None if as_json else stage}
    options |= pass_arguments(**watched, show=stage)
    if stop_after is not None:
        return _stop(stop_after, model, machine, options, as_json, timings)
    result = compile_model(model, machine, verify=not no_verify, emulate=emulate, **options)
    if as_json:
        echo_json(result.as_json())
    else:
        from .report.terminal import print_compiled

        print_compiled(result)
        _echo_timings(result.seconds if timings else {})
    return 0


def _stop(name: str, model: Path, target: Any, options: Mapping[str, Any], as_json: bool, timings: bool) -> int:
    from .driver import stop_after

    stopped = stop_after(name, model, target, **options)
    if as_json:
        echo_json(stopped.as_json())
    else:
        click.echo(f"{stopped.path}  {stopped.operators} operators, after {stopped.after}")
        _echo_timings(stopped.seconds if timings else {})
    return 0


def _echo_timings(seconds: Mapping[str, float]) -> None:
    for name, value in seconds.items():
        click.echo(f"{'timings' if name == next(iter(seconds)) else '':<10}{name:<18}{value * 1e3:>10.1f} ms")


@autoglmc.command("run")
@click.argument("bundle", type=FILE)
@click.option("--input", "source", required=True, type=FILE, help="An .npz file with one array per input.")
@click.option("-o", "--output", type=FILE, help="Where to write the outputs, an .npz file.")
@click.option("--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Run that often and report times.")
@emulate_option
@json_option
def run_command(bundle: Path, source: Path, output: Path | None, repeat: int, emulate: bool, as_json: bool) -> int:
    """Run a compiled BUNDLE."""
    from .array_files import read_arrays, write_arrays
    from .run import run_bundle

    result = run_bundle(bundle, read_arrays(source), repeat=repeat, emulate=emulate)
    if output is not None:
        write_arrays(output, result.outputs)
        stage(f"wrote {output}")
    if as_json:
        echo_json(result.as_json())
    else:
        from .report.terminal import print_run

        print_run(result)
    return 0


@autoglmc.command("verify")
@click.argument("model", type=FILE)
@click.argument("bundle", type=FILE)
@emulate_option
@json_option
def verify_command(model: Path, bundle: Path, emulate: bool, as_json: bool) -> int:
    """Compare BUNDLE with the untouched MODEL.

    Both run on inputs made up for the model; outputs and tensors between segments are compared.
    """
    from .verify import verify_bundle

    result = verify_bundle(model, bundle, emulate=emulate, progress=None if as_json else stage)
    if as_json:
        echo_json(result.as_json())
    else:
        from .report.terminal import print_verified

        print_verified(result)
    return 0 if result.passed else 1


@autoglmc.command("check")
@click.argument("file", type=FILE)
@json_option
def check_command(file: Path, as_json: bool) -> int:
    """Check a model or a .hw file before it is used.

    For a model: five named checks. The exit code is 0 if all pass, else 1, for use in CI.
    """
    if file.suffix == ".hw":
        from .target_files import load_target

        target = load_target(file, warn=stage)
        devices = ", ".join(device.name for device in target.devices)
        results = [{"name": "target", "status": "pass", "message": f"'{target.name}' with {devices}", "help": ""}]
    else:
        from dataclasses import asdict

        from .check_model import check_model

        results = [asdict(result) for result in check_model(file)]
    passed = all(result["status"] == "pass" for result in results)
    if as_json:
        echo_json({"file": str(file), "passed": passed, "checks": results})
    else:
        for result in results:
            echo_wrapped(f"{result['status']:<8}{result['name']:<10} {result['message']}")
            if result["help"]:
                echo_wrapped(f"{'':<19}help: {result['help']}")
    return 0 if passed else 1


@autoglmc.command("targets")
@json_option
def targets_command(as_json: bool) -> int:
    """List the stock targets."""
    from .target_files import stock_targets

    names = stock_targets()
    if as_json:
        echo_json({"targets": list(names)})
    else:
        for name in names:
            click.echo(name)
    return 0


@autoglmc.command("rules")
@json_option
def rules_command(as_json: bool) -> int:
    """List the rewrite rules by the pass that applies them.

    \b
    exact          bit for bit the same
    reassociates   the same over the reals; floating point rounds differently
    within BOUND   off by at most BOUND over the reals, proved; only where a `rewrite` line of the target allows it
    """
    from .rules import list_rules

    rules = list_rules()
    if as_json:
        echo_json({"rules": rules})
        return 0
    width = max(len(rule["name"]) for rule in rules)
    for name in dict.fromkeys(name for rule in rules for name in rule["stages"]):
        click.echo(f"{name}:")
        for rule in rules:
            if rule["stages"][:1] == [name]:
                contract = f"within {rule['bound']:.4g}" if rule["contract"] == "bounded" else rule["contract"]
                click.echo(f"  {rule['name']:<{width}} {contract:<17} {rule['summary']}")
    return 0


def stage(message: str) -> None:
    """One line of progress; on stderr, so that stdout is the result."""
    click.echo(message, err=True)


def echo_wrapped(line: str) -> None:
    """Wraps under itself on a terminal; as it is elsewhere, where another program may look for words."""
    import shutil
    import textwrap

    text = printable(line)
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, 40)
        text = textwrap.fill(text, width, subsequent_indent=" " * 19, drop_whitespace=True, replace_whitespace=False)
    click.echo(text)


def echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def run(arguments: Sequence[str]) -> int:
    """Carries out one command line; the exit code."""
    as_json = "--json" in arguments
    try:
        with interruptible():
            return int(autoglmc.main(list(arguments), prog_name="autoglmc", standalone_mode=False) or 0)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: nothing was written", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as problem:
        click.echo(problem.format_message(), err=True)
        return UsageError.exit_code
    except click.ClickException as problem:
        help_text = _advice(problem)
        return answer_failure(UsageError(problem.format_message().rstrip("."), help=help_text), arguments, as_json)
    except Exception as problem:
        return answer_failure(problem, arguments, as_json)


def _advice(problem: click.ClickException) -> str:
    if isinstance(problem, click.MissingParameter) and problem.param is not None and problem.param.name == "target":
        from .target_files import stock_targets

        return f"a .hw file, or one of {', '.join(stock_targets())}"
    return f"see `{problem.ctx.command_path} --help`" if isinstance(problem, click.UsageError) and problem.ctx else ""


def main() -> None:
    sys.exit(run(sys.argv[1:]))
