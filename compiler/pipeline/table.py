"""The order of the passes, as a table that is checked when it is imported: what each needs, gives and breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from .bodies import (
    ask_devices,
    cut_segments,
    fuse_formulas,
    place_operators,
    realise_placement,
    recover,
    simplify,
    tune_segments,
)
from .recover_whole import recover_whole
from .spellings import keep_floats, lower_ranks, write_in_floats
from .work import Run


class Fact(Enum):
    """Something that holds of the work and that a later pass may rely on."""

    TYPED = auto()
    """Every tensor whose dtype and shape can be known has them."""
    RECOVERED = auto()
    """What exporters scattered is one operator again."""
    SIMPLE = auto()
    """Nothing stands in the graph that computes nothing or the same twice."""
    FUSED = auto()
    """Rules of the target's file that stand for several operators are applied."""
    WHOLE = auto()
    """Operators that only few devices have are recovered where the placement is cheaper with them."""
    IN_FLOATS = auto()
    """A quantised model is written in floats where the placement is cheaper so."""
    BESIDE_FLOATS = auto()
    """What is quantised on the run, or gathered in integers, is in floats where the placement is cheaper so."""
    ON_FEWER_AXES = auto()
    """What has many axes is written on fewer where the placement is cheaper so."""
    ASKED = auto()
    """Every device has said how it would run every operator, and the placement problem is stated."""
    PLACED = auto()
    """Every operator has a device and an implementation there."""
    REALISED = auto()
    """The graph holds exactly what the devices will run."""
    CUT = auto()
    TUNED = auto()
    """Each segment is spelled as its runtime is fastest."""


@dataclass(frozen=True, slots=True)
class Pass:
    name: str
    run: Run
    needs: frozenset[Fact]
    gives: frozenset[Fact]
    breaks: frozenset[Fact]
    contract: str
    """exact, reassociates or bounded: the loosest contract among what the pass may apply."""
    own: bool = False
    """Whether the user wrote it: its contract is what its author declares."""


def _row(name: str, run: Run, needs: str, gives: str, breaks: str, contract: str) -> Pass:
    return Pass(name, run, _facts(needs), _facts(gives), _facts(breaks), contract)


def _facts(words: str) -> frozenset[Fact]:
    return frozenset(Fact[word] for word in words.split())


# fmt: off
PIPELINE: tuple[Pass, ...] = (
    #    name                 run                 needs              gives        breaks   contract
    _row("recover",           recover,            "TYPED",           "RECOVERED", "",      "reassociates"),
    _row("simplify",          simplify,           "TYPED RECOVERED", "SIMPLE",    "",      "reassociates"),
    _row("fuse-formulas",     fuse_formulas,      "TYPED SIMPLE",    "FUSED",     "",      "bounded"),
    _row("recover-whole",     recover_whole,      "TYPED SIMPLE FUSED", "WHOLE",  "",      "reassociates"),
    _row("write-in-floats",   write_in_floats,    "TYPED SIMPLE WHOLE", "IN_FLOATS", "",   "reassociates"),
    _row("keep-floats",       keep_floats,        "TYPED SIMPLE IN_FLOATS", "BESIDE_FLOATS", "", "reassociates"),
    _row("lower-ranks",       lower_ranks,        "TYPED SIMPLE BESIDE_FLOATS", "ON_FEWER_AXES", "", "reassociates"),
    _row("ask-devices",       ask_devices,        "TYPED SIMPLE ON_FEWER_AXES", "ASKED", "", "exact"),
    _row("place-operators",   place_operators,    "ASKED",           "PLACED",    "",      "exact"),
    _row("realise-placement", realise_placement,  "PLACED",          "REALISED",  "SIMPLE", "bounded"),
    _row("cut-segments",      cut_segments,       "REALISED",        "CUT",       "",      "exact"),
    _row("tune-segments",     tune_segments,      "CUT",             "TUNED",     "",      "reassociates"),
)
# fmt: on


def check(table: Sequence[Pass], known: frozenset[Fact]) -> None:
    """Raises ValueError for the first pass that needs a fact which no pass before it gives, or which one broke."""
    broken: dict[Fact, str] = {}
    for row in table:
        for fact in sorted(row.needs - known, key=lambda fact: fact.value):
            why = f"'{broken[fact]}' broke it" if fact in broken else "no pass before it gives it"
            raise ValueError(f"pass '{row.name}' needs {fact.name}: {why}")
        broken.update(dict.fromkeys(row.breaks, row.name))
        known = known - row.breaks | row.gives


check(PIPELINE, frozenset({Fact.TYPED}))
