"""What a user can be told: what happened, where, and what to do. The CLI shows these without a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from .differing_digits import differing

CONTINUED = "\n    "
LONGEST_WORD, LONGEST_TEXT = 400, 8_000
"""Characters of a message: a name from a hostile file may have a million."""


class UserError(Exception):
    """A problem in what the user gave, not in autoglmc; `str()` is the whole message, one fact a line.

    message: what is wrong, one sentence without a final full stop.
    where: the file, node, tensor or flag it is about; "" where the message says it.
    help: what to do about it; "" where the message says it.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, message: str, *, where: str = "", help: str = "") -> None:
        super().__init__(clipped(message))
        self.message = clipped(message)
        self.where = clipped(where)
        self.help = clipped(help)

    def __str__(self) -> str:
        lines = [f"error: {self.message}"]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(line.replace("\n", CONTINUED) for line in lines)  # a name may hold a line break: it begins no line of ours

    def __reduce__(self) -> tuple[Any, ...]:
        # keyword-only arguments: the default would call the class with `args` alone and lose them
        return _rebuild, (type(self), self.args, self.__dict__)

    def as_json(self) -> dict[str, Any]:
        """The same facts for a program; further fields of a subclass are added beside them."""
        facts = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {"kind": self.kind, "exit_code": self.exit_code, **facts}


class UsageError(UserError):
    """An invalid flag or argument; exit code 2."""

    exit_code = 2
    kind = "usage"


class ModelError(UserError):
    """The ONNX file is not one we can compile."""

    kind = "model"


class TargetError(UserError):
    """The target is missing, or cannot run the model at all."""

    kind = "target"


class Infeasible(UserError):
    """A limit that no plan can keep.

    resource: what runs out ("memory dram"); demand and limit: in the resource's SI unit; relaxations:
    each of these changes would make it feasible, smallest first; or why none would. Empty as long as none was looked for.
    """

    kind = "infeasible"

    def __init__(
        self, resource: str, demand: float, limit: float, relaxations: Iterable[str], *, message: str = "", where: str = ""
    ) -> None:
        self.resource = resource
        self.demand = demand
        self.limit = limit
        self.relaxations = tuple(relaxations)
        needed, allowed = differing(demand, limit)
        text = message or f"{resource}: {needed} needed, {allowed} allowed"
        super().__init__(text, where=where, help="; or ".join(self.relaxations))


class SearchEnded(UserError):
    """The search's budget was spent before an attempt was accepted.

    spent: what is used up; verdict: on the last attempt. remedy: the option that allows more.
    """

    kind = "search"

    def __init__(self, spent: str, remedy: str, verdict: str, last: UserError) -> None:
        self.spent, self.verdict = spent, verdict
        message = f"no plan was accepted within {spent}; the last attempt was {verdict}: {last.message}"
        super().__init__(message, where=last.where, help="; or ".join(filter(None, (last.help, f"allow more with {remedy}"))))


class BundleError(UserError):
    """A bundle that cannot be written, read or trusted."""

    kind = "bundle"


class VerifyError(UserError):
    """A bundle computes something else than its model, or the comparison proves nothing."""

    kind = "verify"


class PassError(UserError):
    """--verify-each found that a pass changed what the model computes: a fault of autoglmc, not of the user.

    rule, site, tensor: the application at fault, "" where no single one is; repro: the folder that shows it alone.
    """

    exit_code = 3
    kind = "pass"

    def __init__(
        self, message: str, *, where: str, help: str = "", pass_name: str, rule: str = "", site: str = "", tensor: str = "", repro: str = ""
    ) -> None:
        super().__init__(message, where=where, help=help)
        self.pass_name, self.rule, self.site, self.tensor, self.repro = pass_name, rule, site, tensor, repro


class UserPassError(UserError):
    """A pass that the user wrote fails, leaves an invalid model, or breaks its contract.

    pass_name: `surgery.py:drop_scale`."""

    kind = "user-pass"

    def __init__(self, message: str, *, where: str, help: str = "", pass_name: str) -> None:
        super().__init__(message, where=where, help=help)
        self.pass_name = pass_name


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean 'cpu'?", or the known names when none is close, or ""."""
    names = sorted(known)
    close = get_close_matches(str(word), names, n=1)  # Python passes anything
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""


def clipped(text: str) -> str:
    """The text with the middle of overlong words left out, and its own where it still is too long."""
    if len(text) <= LONGEST_WORD:
        return text
    short = re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: _ends(word[0], LONGEST_WORD), text)
    return short if len(short) <= LONGEST_TEXT else _ends(short, LONGEST_TEXT)


def _ends(text: str, most: int) -> str:
    return f"{text[: most // 2]}… ({len(text):,} characters) …{text[-most // 4 :]}"


def first_line(problem: Exception) -> str:
    """The first line that a library's exception says, or its type."""
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)


def _rebuild(kind: type[UserError], args: tuple[Any, ...], fields: dict[str, Any]) -> UserError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(fields)
    return error
