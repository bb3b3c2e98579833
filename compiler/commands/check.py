"""`autoglmc check`: a model or a target before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..report.printable import printable
from .explain_hint import explain_hint
from .options import FILE, json_option
from .output import echo_json, echo_wrapped, stage

if TYPE_CHECKING:
    from ...targets.model import Target


@click.command("check")
@click.argument("file", metavar="MODEL|FILE.hw|NAME", type=FILE, required=False)
@click.option("--explain", "code", metavar="CODE", help="Print what a code such as HW0106 means, with an example. Takes no file.")
@click.option("--strict", is_flag=True, help="Of a .hw file: warnings count as errors, and so do guesses that a limit rests on.")
@click.option("--probe", is_flag=True, help="Of a target: ask its runtimes themselves whether its tables are right.")
@click.option("--operators", default="", metavar="A,B,…", help="With --probe: only these.")
@click.option("--cases", default=6, type=click.IntRange(1), show_default=True, help="With --probe: most cases asked per operator.")
@click.option("--seconds", default=600.0, type=click.FloatRange(0), show_default=True, help="With --probe: ask no more of a device then.")
@json_option
def check_command(
    file: Path | None, code: str | None, strict: bool, probe: bool, operators: str, cases: int, seconds: float, as_json: bool
) -> int:
    """Check a model or a target (a .hw file or a stock name) before it is used.

    For a model: five named checks. For a target: everything there is to say about its file and those it includes, and which of its
    runtimes are here.
    With --probe: lines of its tables that claim what the runtime refuses or computes wrong, and what they leave out.
    With --explain: the meaning of the code of a message about a .hw file.
    The exit code is 0 if all pass, else 1, for use in CI.
    """
    if code is not None:
        return _explain(code, file, as_json)
    if file is None:
        raise UsageError("no model or target given", help="for example `autoglmc check model.onnx` or `autoglmc check a16`")
    if probe:
        return _probe_target(file, operators, cases, seconds, as_json)
    from ..hw.load_target import names_target

    if names_target(file):
        return _check_target(file, strict, as_json)
    from dataclasses import asdict

    from ..verify.check_model import check_model

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


def _explain(code: str, file: Path | None, as_json: bool) -> int:
    from ..hw.explain_code import explain_code, explanation_json, explanation_text

    if file is not None:
        raise UsageError("--explain takes no file", where=str(file), help=f"`autoglmc check --explain {code}`, or `autoglmc check {file}`")
    explained = explain_code(code)
    if as_json:
        echo_json(explanation_json(explained))
    else:
        click.echo(printable(explanation_text(explained), keep="\n"))
    return 0


def _probe_target(file: Path, operators: str, cases: int, seconds: float, as_json: bool) -> int:
    """A line that claims too much is an error; what the tables leave out is only reported."""
    from ..hw.load_target import load_target
    from ..probe.check_table import check_tables, report_json, report_lines
    from ..probe.choose import chosen_operators

    checked = check_tables(load_target(file), chosen_operators(operators), bool(operators), cases, seconds, stage)
    if as_json:
        echo_json({"file": str(file), **report_json(checked)})
    else:
        for line in report_lines(checked):
            echo_wrapped(line)
    return 1 if any(device.too_much for device in checked) else 0


def _check_target(file: Path, strict: bool, as_json: bool) -> int:
    """All messages on stderr, as a compiler does, or in the JSON; if it passes, one line on stdout says what it is."""
    from ...grammar import HwError, render
    from ...grammar import as_json as message_json
    from ..hw.load_target import analyse_target

    result = analyse_target(file, strict)
    found = result.diagnostics
    if any(one.severity == "error" or (strict and one.severity == "warning") for one in found):
        raise HwError(found)
    devices = [device.name for device in result.target.devices] if result.target else []
    runtimes = _runtimes(result.target)
    what = f"'{result.target.name}' with {', '.join(devices)}" if result.target else "operator tables, no target"
    if as_json:
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
    else:
        for one in found:
            click.echo(printable(render(one), keep="\n"), err=True)
        if found:
            click.echo(explain_hint(one.code for one in found), err=True)
        echo_wrapped(f"{'pass':<8}{'target':<10} {what}")
        for runtime in runtimes:
            here = "runs here" if runtime["here"] else f"does not run here: {runtime['reason']}"
            advice = f" ({runtime['help']})" if runtime["help"] else ""
            echo_wrapped(f"{'note':<8}{'runtime':<10} {runtime['device']}: {runtime['runtime']} {here}{advice}")
    return 0


def _runtimes(target: Target | None) -> list[dict[str, Any]]:
    """For each device that runs segments, whether its runtime is available; onnxruntime always is, being a dependency."""
    from ..devices.find_adapter import absence

    found = []
    for device in target.devices if target is not None else ():
        runtime = device.runtime
        if runtime.adapter not in ("none", "ort"):
            lack = absence(runtime.adapter, runtime.words)
            name = " ".join((runtime.adapter, *runtime.words))
            help = lack.help if lack else ""
            reason = lack.reason if lack else ""
            found.append({"device": device.name, "runtime": name, "here": lack is None, "reason": reason, "help": help})
    return found
