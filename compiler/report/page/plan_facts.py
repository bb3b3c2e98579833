"""What only a compilation knows of a bundle, for its page: the manifest has none of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plan_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """facts: `CompileResult.as_json()`, of which these are kept as they are.

    - memory: peak and load_peak in bytes; of each memory its terms in bytes, and its budget.
    - latency: seconds of other plans beside this one.
    - outputs, boundaries: the difference of every output, and of every tensor between segments, with the worst element; none where nothing
      was compared.
    """
    compared = facts["verification"]
    found = {name: compared.get(name, ()) for name in ("outputs", "boundaries")}
    memory = {name: facts["memory"][name] for name in ("peak", "load_peak", "memories")}
    return {"memory": memory, "latency": facts["latency"], **{name: list(rows) for name, rows in found.items()}}
