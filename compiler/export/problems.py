"""What stops an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ModelError
from ..quantities import count

MOST = 8
"""Operators that the message names."""


class Unconverted(ModelError):
    """Operators that the format has no form for.

    refusals: of each, `node`, `operator` and `reason`; the first two are "" where an input or output of the model is refused."""

    def __init__(self, format: str, refusals: Sequence[Mapping[str, str]], *, where: str, help: str = "") -> None:
        self.refusals = tuple(refusals)
        lines = [_line(one) for one in self.refusals[:MOST]]
        if len(self.refusals) > MOST:
            lines.append(f"and {len(self.refusals) - MOST} more")
        cannot = count(len(self.refusals), "part") + " of the model cannot be converted"
        super().__init__(f"{cannot} to {format}: {'; '.join(lines)}", where=where, help=help)


def _line(refusal: Mapping[str, str]) -> str:
    if not refusal["operator"]:
        return refusal["reason"]
    return f"{refusal['operator']} (node {refusal['node']}): {refusal['reason']}"
