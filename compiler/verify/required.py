"""What `--require-verified` asks of a verification, and what of it is not met."""

from __future__ import annotations

from typing import Literal, cast, get_args

from ..errors import UsageError, VerifyError
from .report import VerifyReport
from .verdicts import elsewhere

Requirement = Literal["all", "here"]
"""all: every segment is judged on its own runtime; here: runtimes that are not on this machine are left out."""
REQUIREMENTS: tuple[str, ...] = get_args(Requirement)


def requirement_of(given: object, verify: bool = True) -> Requirement | None:
    """Raises UsageError for another word, and for a requirement where nothing is to be verified."""
    if given is None:
        return None
    if given not in REQUIREMENTS:
        raise UsageError(f"require_verified is {' or '.join(map(repr, REQUIREMENTS))}, not {given!r}")
    if not verify:
        raise UsageError("what is not compared with its model cannot be required to be verified", help="leave one of the two out")
    return cast("Requirement", given)


def unmet(report: VerifyReport, required: Requirement | None) -> tuple[str, ...]:
    """Why the report does not meet the requirement, a sentence each; () where it does, and where nothing is required."""
    if required is None:
        return ()
    return (*report.faults, *(elsewhere(report.segments) if required == "all" else ()))


def check_met(report: VerifyReport, required: Requirement | None, where: str) -> None:
    """Raises VerifyError that names what of the requirement is not met."""
    if missing := unmet(report, required):
        help = "`here` instead of `all` leaves out runtimes that are not here" if report.agrees else ""
        raise VerifyError(f"it is not verified as required ({required}): {'; '.join(missing)}", where=where, help=help)
