"""The command line: commands and error handling. A command imports what it needs when it runs, so that --help starts fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from .commands.bench import bench_command
from .commands.cache import cache_command
from .commands.calibrate import calibrate_command
from .commands.check import check_command
from .commands.compare import compare_command
from .commands.compile import compile_command
from .commands.completion import completion_command
from .commands.diff import diff_command
from .commands.export import export_command
from .commands.fmt import fmt_command
from .commands.generate import generate_command
from .commands.line.failures import INTERRUPTED, answer_failure, flush_output, say
from .commands.line.groups import Commands
from .commands.line.invocation import Invocation
from .commands.lsp import lsp_command
from .commands.new_target import new_target_command
from .commands.probe import probe_command
from .commands.report import report_command
from .commands.rules import rules_command
from .commands.run import run_command
from .commands.show import show_command
from .commands.targets import targets_command
from .commands.verify import verify_command
from .commands.what_if import what_if_command
from .commands.why import why_command
from .devices.interruption import interruptible
from .errors import UsageError, UserError
from .guard.supervise import supervised

COMPLETION = "_AUTOGLMC_COMPLETE"
"""The variable by which a shell asks click for completions."""
NOTHING_WRITTEN = "interrupted: nothing was written"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="autoglmc", prog_name="autoglmc")
def autoglmc() -> None:
    """Compile an ONNX model for the devices of one machine: CPU, GPU and NPU, with no copies between them.

    `autoglmc MODEL --target TARGET` compiles; the other commands run, compare and explain what was compiled.
    """


for command in (
    compile_command,
    run_command,
    generate_command,
    bench_command,
    verify_command,
    export_command,
    report_command,
    check_command,
    targets_command,
    rules_command,
    why_command,
    what_if_command,
    compare_command,
    calibrate_command,
    fmt_command,
    show_command,
    diff_command,
    new_target_command,
    lsp_command,
    probe_command,
    completion_command,
    cache_command,
):
    autoglmc.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Carries out one command line and returns the exit code."""
    as_json, invocation = "--json" in arguments, Invocation()
    try:
        with interruptible():
            code = int(autoglmc.main(list(arguments), prog_name="autoglmc", standalone_mode=False, obj=invocation) or 0)
            flush_output()
            return code
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"interrupted: {invocation.kept}" if invocation.kept else NOTHING_WRITTEN, err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as problem:
        return say(problem.format_message(), {}, UsageError.exit_code, as_json=False)
    except click.ClickException as problem:
        help_text = _advice(problem)
        return answer_failure(UsageError(problem.format_message().rstrip("."), help=help_text), arguments, as_json)
    except Exception as problem:
        return answer_failure(problem, arguments, as_json, invocation.target)


def _advice(problem: click.ClickException) -> str:
    if isinstance(problem, click.MissingParameter) and problem.param is not None and problem.param.name == "target":
        from .hw.load_target import stock_targets

        return f"a .hw file, or one of {', '.join(stock_targets())}"
    return f"see `{problem.ctx.command_path} --help`" if isinstance(problem, click.UsageError) and problem.ctx else ""


def main() -> None:
    """The program: one command line, in a process that may crash (compiler/guard)."""
    arguments = sys.argv[1:]
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # closed by whoever started this
    # onnxruntime's packages report usage to their maker from 1.32 on; a compiler of models that are not published yet reports to nobody
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if COMPLETION in os.environ:  # a shell waits for words
        sys.exit(run(arguments))
    sys.exit(supervised(lambda: run(arguments), lambda problem: _told(problem, arguments)))


def _told(problem: UserError | None, arguments: Sequence[str]) -> int:
    if problem is None:
        click.echo(NOTHING_WRITTEN, err=True)
        return INTERRUPTED
    return answer_failure(problem, arguments, "--json" in arguments)
