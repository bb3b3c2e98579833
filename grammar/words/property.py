"""The form of a row of the property table in properties.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Predicted = Literal["latency", "fps", "power", "energy", "memory"]
"""What is predicted of a plan and may have a limit."""
TIME: tuple[Predicted, ...] = ("latency", "fps", "power", "energy")
"""Energy is power over time."""
ENERGY: tuple[Predicted, ...] = ("power", "energy")
SPACE: tuple[Predicted, ...] = ("memory",)


@dataclass(frozen=True, slots=True)
class NumberField:
    """One number that a statement states."""

    field: str
    """Of the block's record in targets/model.py, and the last word of the fact's path: `device.npu.row_align`."""
    word: str = ""
    """What stands between the property's name and the number: `row` in `align row 64 B`."""
    dimension: str = ""
    """Where it is not that of the property: `weights 81 %` in `memory base 2 MiB, weights 102 %, working 110 %`."""
    default: float | str | None = None
    """In SI, where the file does not state the number; a str names the field whose value it then has."""
    zero: bool = False
    """Whether 0 is allowed."""
    negative: bool = False
    """Whether numbers below 0 are."""
    most: float = float("inf")
    """In SI."""
    power_of_two: bool = False
    sign: Literal["", "<=", ">="] = ""
    """Of a limit, the comparison where it is not that of the property."""
    predicts: tuple[Predicted, ...] = ()
    """The predictions that are computed from it, so that limits on them rest on it."""


@dataclass(frozen=True, slots=True)
class Property:
    """One row: a statement of a block."""

    example: str
    """A whole statement; blocks as `{ … }`."""
    meaning: str
    dimension: str = ""
    """Of its numbers: a key of units.DIMENSIONS; "" if it has none."""
    numbers: tuple[NumberField, ...] = ()
    """Those read by lower/numbers.py; a statement of another form (`peak fp16 17 TOPS`) is read by a function of its own."""
    required: str = ""
    """What to do where it is missing; "" if it is optional."""
    words: tuple[str, ...] = ()
    """The words that may follow its name; one may be of two words."""
    choice: str = ""
    """What such a word is, for messages: "a state"."""
    takes: tuple[str, ...] = ()
    """Kinds of name that may follow it: dtype, form, device, operator, table, runtime."""
    sign: Literal["", "<=", ">="] = ""
    """The comparison of a limit."""
    opens: str = ""
    """The kind of block it opens; "" if it has no block."""
    named: bool = False
    """Whether its first word is a name: `device npu : ane { … }`."""
    keyed: bool = False
    """Whether it may stand once for each first word: `peak fp16 …; peak int8 …;`."""
    repeated: bool = False
    """Whether several in one block add up."""
    ordered: bool = False
    """Whether the first one that applies counts: those of an upper layer come before those it inherits."""
    listed: bool = False
    """Whether it is followed by names separated by commas."""
    in_table: bool = False
    """Of a device's statements: whether a `table` may hold it too."""
    blank: str | None = None
    """The statement in a new target; None: the example with its numbers left open. "" leaves it out."""

    def number(self, word: str = "") -> NumberField:
        """The number that follows that word. Raises KeyError if there is none."""
        for number in self.numbers:
            if number.word == word:
                return number
        raise KeyError(word)

    def limited(self, subject: str) -> NumberField:
        """The number of a limit on that subject: one of its own (`cosine`, `top1 drop`), or the one that all share."""
        return next(number for number in self.numbers if number.word in ("", subject))

    def sign_of(self, subject: str) -> Literal["", "<=", ">="]:
        """The comparison of a limit on that subject."""
        return self.limited(subject).sign or self.sign
