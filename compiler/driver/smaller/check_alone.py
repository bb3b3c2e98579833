"""What does not go with a compilation of a model that is changed first."""

from __future__ import annotations

from ...errors import UsageError


def check_alone(option: str, saved: str, kind: str, without: str, expect: object, passes: object) -> None:
    """Raises UsageError for passes of the user's own, and for `expect`. option: what changes the model; saved: the option for the file of
    the changed model; kind: of bundle; without: the options to leave out."""
    if passes:
        help = f"rewrite the model with the passes first (autoglmc.rewrite), or compile the file of {saved} with them"
        raise UsageError(f"passes of your own and {option} exclude each other", help=help)
    if expect is not None:
        message = f"--expect asks for what the source framework computes, which a {kind} bundle comes near to only"
        raise UsageError(message, help=f"compile without {without}, or without --expect")
