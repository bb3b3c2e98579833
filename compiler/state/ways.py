"""How a step of a decoder may be written: attention that extends its caches, which few runtimes have, or operators that any device may
have, whose new rows the session puts into the caches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from ...passes.library import WRITTEN_OUT
from ...targets.model import Target
from ...targets.support import lists

EXTENDED: Final = "extended"
"""Attention itself writes the new rows into the caches."""
APPENDED: Final = "appended"
"""New rows go out, and the session puts them behind the others."""
PLACED: Final = "placed"
"""The same, where rows are put at their places in the caches first, for whatever reads these."""
WayName = Literal["extended", "appended", "placed"]
WAYS: tuple[WayName, ...] = get_args(WayName)
"""In the order in which they are tried; PLACED only where the others are refused."""
SPLIT = frozenset(operator for rule in WRITTEN_OUT for operator in rule.operators)
"""Operators that become simpler ones where rows are appended, unless a device has them."""
EXTENDS = "com.microsoft::GroupQueryAttention"
"""The operator that extends caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How steps may be written."""

    names: tuple[str, ...] = (EXTENDED,)
    whole: frozenset[str] = frozenset()
    """Operators of SPLIT that stay as they are, since a device has them."""
    others: bool = True
    """Whether APPENDED, and then PLACED, are taken too where steps can be written in no other way."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """By way that is not among `names`, why."""


EXTENDING = Ways()


def ways_of(target: Target) -> Ways:
    """Those that may be the faster one for an entry on the devices of the target."""
    others = [device for device in target.devices if not lists(device, EXTENDS)]
    left_out = {}
    if len(others) == len(target.devices):
        left_out[EXTENDED] = f"no device of {target.name} has {EXTENDS}"
    if not others:
        which = f"{target.devices[0].name} has" if len(target.devices) == 1 else "all devices have"
        left_out[APPENDED] = f"{which} {EXTENDS}, which does the same without passing over the caches once more"
    whole = {operator for operator in SPLIT if any(lists(device, operator) for device in others)}
    return Ways(names=tuple(way for way in (EXTENDED, APPENDED) if way not in left_out), whole=frozenset(whole), left_out=left_out)
