"""A step of a running bundle that raised, wrote elsewhere, or took too long."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import BundleError, UserError


class StepFailed(BundleError):
    """step: index in the schedule; request: its number, from 0; segment: None for a copy."""

    kind = "step"

    def __init__(self, why: str, *, step: int, request: int, what: str, segment: int | None, device: str) -> None:
        super().__init__(f"request {request}, step {step}, {what}: {why}")
        self.step, self.request, self.segment, self.device = step, request, segment, device

    def abandoned(self, threads: Sequence[str]) -> None:
        """Threads whose runtime could not be stopped still write to the arena: the session must not be used again."""
        self.help = f"its runtime could not be stopped ({', '.join(threads)}): end this process, and load the bundle anew"


def why(error: BaseException) -> str:
    """What a runtime's own exception says, one of ours without its place."""
    return error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
