"""The results as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .campaign import WHOLE, Right, Slip

LONGEST = 160


def right_table(found: Sequence[Right]) -> list[str]:
    """A row a model and target."""
    lines = [f"{'model':24}{'target':18}{'verdict':14}{'exercised':>10}{'not exercised':>15}{'of allowed':>12}{'seconds':>9}"]
    for one in found:
        verdict = "verified" if one.verified else "NOT verified" if one.fits else "does not fit"
        numbers = f"{one.exercised:>10.0%}{len(one.not_exercised):>15}{min(one.part, 99):>12.0%}{one.seconds:>9.1f}"
        lines.append(
            f"{one.model:24}{one.target:18}{verdict:14}{numbers}{'' if one.verified and one.holds else f'  {one.reason[:LONGEST]}'}"
        )
    return lines


def slip_table(found: Sequence[Slip]) -> list[str]:
    """Caught of counted by kind, by size and by model; then where refusals point, and what survived."""
    counted = [slip for slip in found if slip.counted]
    lines = []
    for title, key in (("kind", lambda s: s.kind), ("size", size_of), ("model", lambda s: s.model), ("target", lambda s: s.target)):
        lines += [f"by {title}:", *_groups(counted, found, key), ""]
    refused = [slip for slip in counted if slip.outcome == "refused"]
    located = sum(slip.located for slip in refused)
    lines.append(f"{located} of {len(refused)} refusals name an element where the mistake acts")
    lines += [f"  elsewhere: {_named(s)}: {s.reason[:LONGEST]}" for s in refused if not s.located]
    survivors = [slip for slip in counted if slip.outcome == "survived"]
    lines += ["", f"{len(survivors)} survived:"]
    lines += [f"  {_survivor(slip)}" for slip in sorted(survivors, key=lambda slip: -slip.ratio)]
    lines += ["", f"caught {len(refused)} of {len(counted)} ({share(found):.2%}); {_left_out(found)}"]
    return lines


def share(found: Iterable[Slip]) -> float:
    """Refused of what is counted; 1 where nothing is."""
    counted = [slip for slip in found if slip.counted]
    return sum(slip.outcome == "refused" for slip in counted) / len(counted) if counted else 1.0


def size_of(slip: Slip) -> str:
    """Its size, or what range its effect is in."""
    if slip.size != WHOLE:
        return f"made {slip.size:g} times rounding"
    for bound in (3, 10, 100, 1e4):
        if slip.ratio < bound:
            return f"as it is, below {bound:g} times"
    return "as it is, more"


def _groups(counted: Sequence[Slip], found: Sequence[Slip], key: Callable[[Slip], str]) -> list[str]:
    names = dict.fromkeys(key(slip) for slip in counted)
    lines = []
    for name in names:
        group = [slip for slip in counted if key(slip) == name]
        caught = sum(slip.outcome == "refused" for slip in group)
        lines.append(f"  {name:40}{caught:>6} of {len(group):<6}" + ("" if caught == len(group) else f" {len(group) - caught} survived"))
    return lines


def _named(slip: Slip) -> str:
    size = "" if slip.size == WHOLE else f" (made {slip.size:g} times)"
    return f"{slip.model} for {slip.target}: {slip.kind}{size} at {slip.site}"


def _survivor(slip: Slip) -> str:
    return f"{_named(slip)}, {slip.effect:.3g} in {slip.output}, {slip.ratio:.3g} times rounding; {slip.part:.0%} of what is allowed"


def _left_out(found: Sequence[Slip]) -> str:
    within = sum(slip.outcome == "within rounding" for slip in found)
    return f"{within} are within rounding, {sum(slip.outcome == 'not made' for slip in found)} could not be made"
