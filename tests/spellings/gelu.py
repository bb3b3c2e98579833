"""Gelu, for every form that can stand for it."""

from __future__ import annotations

from collections.abc import Mapping

from autoglmc.passes.library import GELU

from .entry import Entry, operator
from .sketch import Sketch


def tanh_gelu(s: Sketch) -> str:
    shape = s.shape()
    return str(s.op("Gelu", s.input(shape, free=range(len(shape))), approximate="tanh"))


def entry(name: str) -> Entry:
    """Forms of one of the two Gelus are declined for the other; those by relu alone take both."""
    if name.startswith("relu_") and name.removeprefix("relu_").isdigit():
        return Entry(spell=operator("Gelu", approximate=("none", "tanh")), opsets=(20, 24), single=True)
    return Entry(spell=tanh_gelu if name.endswith("of_tanh") else operator("Gelu", approximate=("none",)), opsets=(20, 24), single=True)


GELUS: Mapping[str, Entry] = {rule.name: entry(rule.name) for rule in GELU}
