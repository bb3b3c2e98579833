"""What a user's pass promises about the model's outputs, in the words of our own rules: `exact`, `reassociates` or `bounded=1e-3`."""

from __future__ import annotations

import math
from typing import Any

from ...passes.rule.rewrite import Contract
from ..errors import UsageError

OVER = "the inputs it was checked on"
"""What a bound holds for that was measured and not proved."""
MEANINGS = '"exact" (the same bits), or "reassociates" (the same up to rounding), or "bounded=1e-3" (off by at most that, rounding on top)'


def parse_contract(word: Any, name: str, where: str) -> Contract:
    """The contract that the function `name`, written at `where`, declares. Raises UsageError for anything else, None among it."""
    line = f"{name}.contract = "
    if word is None:
        help = f"write below it: {line}{MEANINGS}"
        raise UsageError(f"the pass {name} declares no contract: what may it change in the model's outputs?", where=where, help=help)
    kind, equals, number = word.partition("=") if isinstance(word, str) else ("", "", "")
    if not equals and kind == "exact":
        return Contract("exact")
    if not equals and kind == "reassociates":
        return Contract("reassociates")
    bound = _positive(number) if kind == "bounded" else None
    if bound is None:
        raise UsageError(f"{word!r} is not a valid contract of {name}", where=where, help=f"write: {line}{MEANINGS}")
    return Contract("bounded", bound, OVER)


def spelled(contract: Contract) -> str:
    """As a user writes it."""
    return f"bounded={contract.absolute:g}" if contract.kind == "bounded" else contract.kind


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
