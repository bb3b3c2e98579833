"""Recovers what few devices run as one operator (attention, rotary embeddings), where that makes the placement cheaper.

Other recovered operators are in nearly every table, or cost nothing to take apart again. These are not: a device without them runs the
parts, and as an exporter wrote these they may be better than as a rule does. So both graphs are placed, and the cheaper one stays.
onnxruntime's segments get these operators when they are tuned, so this does not concern them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...passes.library import OFFER
from ...passes.rule.rewrite import Rewrite
from ...targets.support import lists
from .take_cheaper import predicted_in_memories, take_cheaper
from .work import Work

RUNTIME_TUNED = "ort"
"""The runtime whose segments are given these operators later."""


PREPARED: Mapping[str, str] = {"recover_turned_heads": "Attention"}
"""By rule, what one that only moves values is there for."""


def recover_whole(work: Work) -> None:
    """Leaves the work as it is where no device has such an operator, nothing is found, or the placement is no cheaper."""
    rules = work.enabled(rule for rule in OFFER if _wanted(rule, work))
    if rules:
        take_cheaper(work, rules, lambda parts, whole: whole < parts, predicted_in_memories)


def _wanted(rule: Rewrite, work: Work) -> bool:
    """Whether the table of a device other than onnxruntime's lists the operator that the rule makes, or makes possible."""
    operator = PREPARED.get(rule.name, rule.emits[0])
    return any(device.runtime.adapter != RUNTIME_TUNED and lists(device, operator) for device in work.target.devices)
