"""`autoglmc completion`: the script that makes a shell complete its commands."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a script for completion in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> int:
    """Print the script that lets a shell complete commands, options, targets, devices, rules and files.

    \b
    bash   echo 'eval "$(autoglmc completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(autoglmc completion zsh)"' >> ~/.zshrc
    fish   autoglmc completion fish > ~/.config/fish/completions/autoglmc.fish

    It takes effect in new shells. bash needs version 4.4 or later.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(root.command, {}, "autoglmc", "_AUTOGLMC_COMPLETE").source())
    return 0
