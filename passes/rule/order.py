"""In which order rules are tried at a node that several of them match: as given, and as they declare."""

from __future__ import annotations

from .rewrite import Rewrite


def in_order(*rules: Rewrite) -> tuple[Rewrite, ...]:
    """The rules, each before those that it names in `before`; otherwise the order given. Names of rules that are not among them do not
    count. Raises ValueError if declarations contradict each other."""
    left, ordered = list(rules), []
    while left:
        later = {name for rule in left for name in rule.before}
        first = next((rule for rule in left if rule.name not in later), None)
        if first is None:
            raise ValueError(f"each of these rules must come before another one of them: {', '.join(rule.name for rule in left)}")
        left.remove(first)
        ordered.append(first)
    return tuple(ordered)
