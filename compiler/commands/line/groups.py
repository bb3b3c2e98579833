"""`autoglmc` itself: the default command, the commands by what they are for, and how a shell completes the first word."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ...errors import UsageError, did_you_mean

SECTIONS = {
    "Compile and run": ("compile", "run", "generate", "bench", "verify", "export"),
    "Understand a result": ("report", "check", "why", "what-if", "compare", "rules"),
    "Describe a machine": ("targets", "show", "diff", "new-target", "fmt", "probe", "calibrate"),
    "Editor, shell and disk": ("lsp", "completion", "cache"),
}
EXIT_CODES = (
    ("0", "done"),
    ("1", "the model, the target or the bundle is at fault, or a comparison failed"),
    ("2", "an argument is wrong"),
    ("3", "a bug in autoglmc; a report is saved"),
    ("4", "made, but not verified: a runtime is not here, or --no-verify"),
    ("130", "interrupted"),
)
EXAMPLES = (
    ("autoglmc model.onnx --target a16", "compile into model.a16/"),
    ("autoglmc run model.a16 --input x.npz", "run it on given inputs"),
    ("autoglmc verify model.onnx model.a16", "compare it with its model"),
    ("autoglmc why model.onnx --target a16", "what is not on the NPU, and why"),
    ("autoglmc check my.hw", "check a target of your own"),
)


class Commands(click.Group):
    """`autoglmc model.onnx --target a16`: if the first word is not a command, it is a model to compile."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            word = args[0]
            may_be_file = word.startswith("-") or any(sign in word for sign in "./\\") or Path(word).exists()
            if not may_be_file and not ctx.resilient_parsing:
                raise UsageError(f"'{word}' is neither a command nor a file", help=did_you_mean(word, self.commands))
            args = ["compile", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """A command, or the file of a model."""
        return [CompletionItem(incomplete, type="file"), *super().shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=60)) for name in names])
        for title, rows in (("Examples", EXAMPLES), ("Exit codes", EXIT_CODES)):
            with formatter.section(title):
                formatter.write_dl(rows, col_max=40)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text("`autoglmc COMMAND --help` explains one command. -q prints less, -v more, --json a result for programs.")
