"""`autoglmc probe`: what a runtime's own compiler takes and computes right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .line.complete import complete_devices
from .line.invocation import read_target
from .line.limit_options import limit_options
from .line.options import FILE, target_option
from .line.output import Output, output_options

if TYPE_CHECKING:
    from ..probe.choose import ProbedCase
    from ..probe.runtime_words import ProbedRuntime


VERBOSE = "Print progress with times."
QUIET = "Print no progress."


@click.command("probe", short_help="Find out which operators a runtime supports.")
@click.option("--runtime", metavar="WORDS", help="As in a .hw file: 'iree vulkan', 'qnn htp soc 57 arch 75'; or qnn with --soc.")
@click.option("--soc", metavar="N", help="QNN's number of the SoC: 57 is a Snapdragon 8 Gen 3, 43 an 8 Gen 2.")
@click.option("--arch", metavar="N", help="Its Hexagon's architecture; known for common SoCs.")
@target_option(required=False, help="Probe the runtime of a device of this target; needs --device.")
@click.option("--device", metavar="NAME", help="A device of --target.", shell_complete=complete_devices)
@click.option("--operators", default="", metavar="A,B,…", help="Only these, such as Conv,com.microsoft::Gelu.")
@click.option("--cases", default=24, type=click.IntRange(1), show_default=True, help="Most cases per operator.")
@click.option("--seconds", default=1800.0, type=click.FloatRange(0), show_default=True, help="Start no further case after this time.")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the table there instead of to stdout.")
@limit_options
@output_options(VERBOSE, QUIET)
def probe_command(
    runtime: str | None,
    soc: str | None,
    arch: str | None,
    target: str | None,
    device: str | None,
    operators: str,
    cases: int,
    seconds: float,
    output: Path | None,
    out: Output,
) -> int:
    """Find out which operators a runtime accepts and computes correctly, with models of one operator.

    The cases are those of the ONNX standard and typical shapes of ranks 1 to 5, in fp32, fp16, integers and booleans, with operands
    that are constant and operands that are not. The result is an operator table as .hw text, or every case with --json.
    """
    from ..output_file import check_file_place, write_file
    from ..probe.choose import chosen_operators, probe_cases, sample
    from ..probe.runtime_words import device_words, require_runtime, spelled_out
    from ..probe.write_table import table_text

    if (runtime is None) == (target is None or device is None):
        raise UsageError("no runtime to probe", where="--runtime", help="use --runtime WORDS, or --target NAME with --device NAME")
    if output is not None:
        check_file_place(output, "the table", (".json",) if out.as_json else (".hw",))
    with out.progress() as tell:
        if runtime is not None:
            words = spelled_out(runtime, soc, arch)
        else:
            words = device_words(read_target(str(target), tell), str(device))
        names = chosen_operators(operators)
        asked = require_runtime(words)
        answers = list(probe_cases(asked.adapter, asked.words, sample(names, cases), seconds=seconds, tell=tell))
    if out.as_json:
        import json

        found = {"runtime": asked.spelled, "versions": dict(asked.adapter.versions()), "cases": [*map(_record, answers)]}
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    else:
        text = table_text(f"{asked.adapter.name}_probed", answers, asked.adapter.narrow, provenance(asked, answers))
    if output is not None:
        write_file(output, text)
    else:
        click.echo(text, nl=False)
    return 0


def provenance(asked: ProbedRuntime, answers: list[ProbedCase]) -> list[str]:
    """Where the table comes from: runtime, versions, month, number of cases."""
    from datetime import date

    versions = ", ".join(f"{name} {version}" for name, version in asked.adapter.versions().items())
    right = sum(not answer.fault for answer in answers)
    today = date.today()
    return [
        f"`{asked.spelled}` probed with {versions}, {today.year}-{today.month:02}: of {len(answers)} models of one operator,",
        f"{right} were taken and computed as onnxruntime's CPU computes them. A condition holds for what was",
        "asked; nothing is known of the rest.",
    ]


def _record(answer: ProbedCase) -> dict[str, Any]:
    view = answer.case.view
    operands = {name: {"dtype": t.dtype, "shape": t.shape, "const": t.const} for name, t in view.inputs.items()}
    return {
        "operator": answer.case.operator,
        "case": answer.case.name,
        "attributes": dict(view.attributes),
        "operands": operands,
        "right": not answer.fault,
        "fault": answer.fault,
    }
