"""`--accuracy`: how accurate a bundle has to be, beside or instead of what its target's `limits` say.

cosine >= 0.99                    of every output, against the float model
top1 drop <= 1 %                  share of samples whose first class changes
score.py:score >= 0.9             what a function of the user's makes of the bundle's own run
score.py:score drop <= 0.5 %      how much less that is than with the float model; `rise` of what is better the lower it is
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ...targets.model import Limit, Target
from ...targets.origin import Origin
from ..errors import UsageError
from .script_samples import is_script

OPTION = Origin("--accuracy", 0, 0)
"""Where such a limit stands."""
EXAMPLES = '"cosine >= 0.99", "top1 drop <= 1 %", "score.py:score >= 0.9" or "score.py:score drop <= 1 %"'
DROP = "drop <= 1 %"
"""What a function alone asks for."""
Change = Literal["", "drop", "rise"]
Sign = Literal["<=", ">=", "<", ">"]
_WORDS = re.compile(r"(?P<what>.*?)\s*(?P<sign><=|>=|=<|=>|<|>|==?)\s*(?P<number>[^<>=]*)", re.DOTALL)
_CHANGE = re.compile(r"(?P<script>.*\S)\s+(?P<change>drop|rise)", re.DOTALL)
LEAST_PERCENT = 50
"""A cosine above it is meant in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLimit:
    """On what a function of the user's returns."""

    script: str
    """`score.py:score`."""
    change: Change
    """"drop": on what the float model scores less what the bundle does; "rise": on the reverse; "": on the bundle's score."""
    comparison: Sign
    value: float
    text: str
    stated: bool = True
    """Whether the user wrote the number."""

    @property
    def subject(self) -> str:
        return f"{self.script} {self.change}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAccuracy:
    """All that is asked of the accuracy of one compilation, besides what its target says."""

    limits: tuple[Limit, ...] = ()
    """On "cosine" and "top1 drop"."""
    scripts: tuple[ScriptLimit, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.limits or self.scripts)

    def within(self, target: Target) -> Target:
        """The target with these limits in place of its own on the same."""
        mine = {limit.subject for limit in self.limits}
        kept = (limit for limit in target.limits if limit.kind != "accuracy" or limit.subject not in mine)
        return replace(target, limits=(*kept, *self.limits)) if self.limits else target


NOTHING = AskedAccuracy()


def asked_accuracy(words: str | Iterable[str] | None) -> AskedAccuracy:
    """One or several limits as they are written; later ones on the same take the place of earlier ones. Raises UsageError for what is
    none."""
    limits: dict[str, Limit] = {}
    scripts: dict[str, ScriptLimit] = {}
    for text in (words,) if isinstance(words, str) else words or ():
        found = _limit(text)
        if isinstance(found, Limit):
            limits[found.subject] = found
        else:
            scripts[found.subject] = found
    return AskedAccuracy(limits=tuple(limits.values()), scripts=tuple(scripts.values()))


def _limit(text: object) -> Limit | ScriptLimit:
    if not isinstance(text, str):
        raise UsageError(f"accuracy is asked for in words, not by {type(text).__name__}", help=f"write {EXAMPLES}")
    words = " ".join(text.split())
    if is_script(words):
        return _scripted(f"{words} {DROP}", stated=False)
    match = _WORDS.fullmatch(words)
    if match is None:
        raise UsageError(f"--accuracy '{words}' is not a limit", help=f"write {EXAMPLES}")
    what = match["what"].removeprefix("accuracy ")
    if what not in ("cosine", "top1 drop"):
        return _scripted(words)
    sign = _sign(match["sign"], words, ">" if what == "cosine" else "<")
    value = _number(match["number"], words)
    if value > 1 or value < 0:
        percent = 1 < value <= 100 and (what != "cosine" or value > LEAST_PERCENT)
        example = "cosine >= 0.99" if what == "cosine" else "top1 drop <= 1 %"
        help = f"write {what} {sign} {value / 100:g}" if percent else f"it is between 0 and 1, for example `{example}`"
        raise UsageError(f"--accuracy '{words}' can never be reached", help=help)
    return Limit(kind="accuracy", subject=what, comparison=sign, value=value, text=match["number"].strip(), origin=OPTION)


def _scripted(words: str, stated: bool = True) -> ScriptLimit:
    match = _WORDS.fullmatch(words)
    assert match is not None
    changed = _CHANGE.fullmatch(match["what"])
    script, change = (changed["script"], changed["change"]) if changed else (match["what"], "")
    if not is_script(script):
        raise UsageError(f"'{script}' is not something that --accuracy limits", help=f"write {EXAMPLES}")
    sign = _sign(match["sign"], words, "<" if change else "")
    value = _number(match["number"], words)
    if change and value < 0:
        raise UsageError(f"--accuracy '{words}': a {change} of at most {value:g} is none", help=f"write {script} {change} <= 0")
    asked: Change = "drop" if change == "drop" else "rise" if change else ""
    return ScriptLimit(script=script, change=asked, comparison=sign, value=value, text=match["number"].strip(), stated=stated)


def _sign(given: str, words: str, wanted: str) -> Sign:
    """Raises UsageError for another direction than `wanted`, "" for either."""
    for sign in ("<=", ">=", "<", ">"):
        if given in (sign, sign[::-1]) and wanted in ("", sign[0]):
            return sign
    if given in ("=", "=="):
        raise UsageError(f"--accuracy '{words}' asks for one number exactly", help=f"write `{wanted or '>'}=` for a limit")
    raise UsageError(f"--accuracy '{words}' limits it from the wrong side", help=f"write `{wanted}=`")


def _number(given: str, words: str) -> float:
    """`0.99`, or `1 %` as 0.01."""
    bare, scale = (given.strip()[:-1], 0.01) if given.strip().endswith("%") else (given, 1.0)
    try:
        value = float(bare) * scale
    except ValueError:
        raise UsageError(f"--accuracy '{words}': '{given.strip()}' is not a number", help=f"write {EXAMPLES}") from None
    if not math.isfinite(value):
        raise UsageError(f"--accuracy '{words}': '{given.strip()}' is not a finite number", help=f"write {EXAMPLES}")
    return value


def cosine_text(value: float) -> str:
    """A cosine, no larger, with three digits of what it lacks: 0.99987."""
    return f"{1 - three_digits(1 - value, up=True):.12g}"


def three_digits(value: float, up: bool) -> float:
    """The value rounded to three digits, up or down."""
    if not value:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return (math.ceil(value / step - 1e-9) if up else math.floor(value / step + 1e-9)) * step
