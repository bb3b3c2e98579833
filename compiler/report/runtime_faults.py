"""The screen of `autoglmc verify --against-runtime`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .layout import console, say, short


def print_against_runtime(facts: Mapping[str, Any], verbose: bool = False, quiet: bool = False) -> None:
    """facts: `RuntimeReport.as_json`. verbose: outputs that are right too; quiet: the verdict alone."""
    screen = console()
    if not quiet:
        for one in facts["outputs"]:
            if verbose or not one["right"]:
                say(screen, "output", [short(one["words"]) or f"{short(one['name'])}: no difference"])
    if facts["right"]:
        say(screen, "runtime", ["onnxruntime's optimisations change the model's outputs by rounding only"], style="green")
    else:
        say(screen, "runtime", [facts["fault"]], style="red")
