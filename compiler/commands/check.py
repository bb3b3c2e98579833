"""`autoglmc check`: a model or a target before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .line.complete import complete_targets
from .line.explain_hint import explain_hint
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.options import FILE, shape_option
from .line.output import Output, echo_json, echo_quotes, echo_wrapped, output_options

if TYPE_CHECKING:
    from ...grammar import Diagnostic
    from ...targets.model import Device, Target


VERBOSE = "Of a target: print every guessed number with its line too. With --probe: print progress with times."
QUIET = "Print only what fails."


@click.command("check", short_help="Check a model or a target.")
@click.argument("file", metavar="MODEL|FILE.hw|NAME", type=FILE, required=False, shell_complete=complete_targets)
@click.option("--explain", "code", metavar="CODE", help="Print what a code such as HW0106 means, with an example. Takes no file.")
@click.option(
    "--strict",
    is_flag=True,
    help="Of a target: treat warnings as errors; guesses that a limit depends on and numbers without provenance too.",
)
@click.option("--probe", is_flag=True, help="Of a target: run its runtimes to check its operator tables.")
@click.option("--operators", default="", metavar="A,B,…", help="With --probe: only these.")
@click.option("--cases", default=6, type=click.IntRange(1), show_default=True, help="With --probe: most cases per operator.")
@click.option(
    "--seconds",
    default=600.0,
    type=click.FloatRange(0),
    show_default=True,
    help="With --probe: start no further case of a device after this time.",
)
@shape_option
@limit_options
@output_options(VERBOSE, QUIET)
def check_command(
    file: Path | None,
    code: str | None,
    strict: bool,
    probe: bool,
    operators: str,
    cases: int,
    seconds: float,
    shapes: Sequence[str],
    out: Output,
) -> int:
    """Check a model or a target (a .hw file or a stock name) before it is used.

    Of a model: five named checks. Of a target: every error and warning in its file and those it includes, and which of its
    runtimes are installed. With --probe: lines of its operator tables that claim what a runtime refuses or computes wrong, and
    operators that they leave out. With --explain: the meaning of the code of a message about a .hw file.

    Exit code 0: all passed; 1: something failed.
    """
    if code is not None:
        return _explain(code, file, out)
    if file is None:
        raise UsageError("no model or target given", help="for example `autoglmc check model.onnx` or `autoglmc check a16`")
    from ..hw.load_target import names_target

    target = probe or names_target(file)
    if shapes and target:
        raise UsageError("--shape is about a model, and this is a target", where=str(file))
    if probe:
        return _probe_target(file, operators, cases, seconds, out)
    if target:
        return _check_target(file, strict, out)
    return _check_model(file, shapes, out)


def _check_model(file: Path, shapes: Sequence[str], out: Output) -> int:
    from dataclasses import asdict

    from ..load.bind_shapes import parse_shapes
    from ..verify.check_model import check_model

    results = [asdict(result) for result in check_model(file, parse_shapes(shapes))]
    passed = all(result["status"] == "pass" for result in results)
    if out.as_json:
        echo_json({"file": str(file), "passed": passed, "checks": results})
    else:
        for result in results:
            if out.quiet and result["status"] == "pass":
                continue
            echo_wrapped(f"{result['status']:<8}{result['name']:<10} {result['message']}")
            if result["help"]:
                echo_wrapped(f"{'':<19}help: {result['help']}")
    return 0 if passed else 1


def _explain(code: str, file: Path | None, out: Output) -> int:
    from ..hw.explain_code import explain_code, explanation_json, explanation_text
    from ..report.printable import printable

    if file is not None:
        raise UsageError("--explain takes no file", where=str(file), help=f"`autoglmc check --explain {code}`, or `autoglmc check {file}`")
    explained = explain_code(code)
    if out.as_json:
        echo_json(explanation_json(explained))
    else:
        click.echo(printable(explanation_text(explained), keep="\n"))
    return 0


def _probe_target(file: Path, operators: str, cases: int, seconds: float, out: Output) -> int:
    """What the tables claim wrongly is an error, what they leave out is reported."""
    from ..probe.check_table import check_tables, report_json, report_lines
    from ..probe.choose import chosen_operators

    with out.progress() as tell:
        target = read_target(file, tell)
        checked = check_tables(target, chosen_operators(operators), bool(operators), cases, seconds, tell)
    failed = [device for device in checked if device.too_much]
    if out.as_json:
        echo_json({"file": str(file), **report_json(checked)})
    else:
        for line in report_lines(failed if out.quiet else checked):
            echo_wrapped(line)
            echo_quotes(line, target)
    return 1 if failed else 0


def _check_target(file: Path, strict: bool, out: Output) -> int:
    """All messages on stderr, as a compiler does, or in the JSON; if it passes, what it is on stdout."""
    from ...grammar import HwError
    from ...grammar import as_json as message_json
    from ..hw.load_target import analyse_target
    from ..hw.measured_version import other_versions

    result = analyse_target(file, strict)
    found = result.diagnostics
    if result.target is not None and result.resolved is not None:
        found = (*found, *other_versions(result.target, result.resolved, _installed))
    if any(one.severity == "error" or (strict and one.severity == "warning") for one in found):
        raise HwError(found)
    devices = [device.name for device in result.target.devices] if result.target else []
    runtimes = _runtimes(result.target)
    what = f"'{result.target.name}' with {', '.join(devices)}" if result.target else "operator tables, no target"
    if result.target is None and result.deployment is not None:
        what = f"deployment '{result.deployment.name}' of {', '.join(model.name for model in result.deployment.models)}"
    if out.as_json:
        check = {"name": "target", "status": "pass", "message": what, "help": ""}
        echo_json(
            {
                "file": str(file),
                "passed": True,
                "checks": [check],
                "diagnostics": [message_json(one) for one in found],
                "runtimes": runtimes,
            }
        )
    elif not out.quiet:
        _print_target(found, what, runtimes)
        if out.verbose and result.target is not None:
            _print_guesses(result.target)
    return 0


def _print_target(found: Sequence[Diagnostic], what: str, runtimes: Sequence[Mapping[str, Any]]) -> None:
    from ...grammar import render
    from ..report.printable import printable

    for one in found:
        click.echo(printable(render(one), keep="\n"), err=True)
    if found:
        click.echo(explain_hint(one.code for one in found), err=True)
    echo_wrapped(f"{'pass':<8}{'target':<10} {what}")
    for runtime in runtimes:
        here = "runs here" if runtime["here"] else f"does not run here: {runtime['reason']}"
        here += f", on {runtime['in_place']}: the device itself does not" if runtime["here"] and runtime["in_place"] else ""
        advice = f" ({runtime['help']})" if runtime["help"] else ""
        echo_wrapped(f"{'note':<8}{'runtime':<10} {runtime['device']}: {runtime['runtime']} {here}{advice}")


def _print_guesses(target: Target) -> None:
    for fact in target.facts:
        if fact.provenance == "guess":
            line = f"{fact.path} = {fact.text} ({fact.origin})"
            echo_wrapped(f"{'note':<8}{'guess':<10} {line}")
            echo_quotes(line, target)


def _installed(device: Device) -> Mapping[str, str]:
    """By name, the versions of what runs the device's segments here; nothing where they do not run."""
    from importlib.metadata import PackageNotFoundError, version

    from ..devices.find_adapter import absence, adapter_for

    adapter, words = device.runtime.adapter, device.runtime.words
    if adapter == "ort":
        try:
            return {"onnxruntime": version("onnxruntime")}
        except PackageNotFoundError:
            return {}
    found = adapter_for(adapter, words)
    return found.versions() if found is not None and absence(adapter, words) is None else {}


def _runtimes(target: Target | None) -> list[dict[str, Any]]:
    """Of every device whether its runtime is installed, and what computes in place of a device that is never here; onnxruntime is left
    out: it is a dependency of this package."""
    from ..devices.adapter import Substituting
    from ..devices.find_adapter import absence, adapter_for

    found = []
    for device in target.devices if target is not None else ():
        runtime = device.runtime
        if runtime.adapter not in ("none", "ort"):
            lack = absence(runtime.adapter, runtime.words)
            name = " ".join((runtime.adapter, *runtime.words))
            help = lack.help if lack else ""
            reason = lack.reason if lack else ""
            adapter = adapter_for(runtime.adapter, runtime.words)
            in_place = adapter.in_place if isinstance(adapter, Substituting) else ""
            facts = {"device": device.name, "runtime": name, "here": lack is None, "reason": reason, "help": help}
            found.append({**facts, "in_place": in_place})
    return found
