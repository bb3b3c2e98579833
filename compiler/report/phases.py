"""The lines of a screen or page about models that take turns in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..quantities import size


def phase_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """facts: those of bundle/phase_record.py, as plain data."""
    each, at_once = facts["each"], facts["at_once"]
    *first, last = [phase["model"] for phase in each]
    less = [(name, total, each[-1]["running"].get(name, 0)) for name, total in at_once.items()]
    back = " and ".join(f"{size(total - kept)} of {name}" for name, total, kept in less if total > kept)
    yield f"{', '.join(first)} {'is' if len(first) == 1 else 'are'} given back before {last} runs: {back}"
    for name, total in at_once.items():
        running = [phase["running"].get(name, 0) for phase in each]
        if max(running) < total:
            loading = [phase["loading"].get(name, 0) for phase in each]
            words = [
                f"{size(run)} with {one['model']} ({size(load)} while it is loaded)"
                for one, run, load in zip(each, running, loading, strict=True)
            ]
            yield f"{name}: {', '.join(words)}; {size(total)} if all were there at once"
    others = "the other" if len(each) == 2 else "the others"
    yield f"a step of one opens it and closes {others}, which takes as long as loading does"
