"""Why operators of a bundle are in the form that they are in: what its manifest says of the choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from ..bundle.manifest import Manifest
from ..bundle.precision_record import PrecisionRecord, UnitRecord
from ..errors import UsageError, did_you_mean

FEWEST = 2
"""Letters of a name that is looked for inside of longer ones."""


def forms_of_bundle(manifest: Manifest, word: str, where: str) -> dict[str, Any]:
    """Plain data: target, asked, units. word: the name of a node of the float model, once it is simplified, or an operator; "" for all that
    stays in fp32.

    Raises UsageError for a bundle whose forms nobody chose, and for a word that is about none of its operators."""
    precision = manifest.precision
    if precision is None:
        message = "the bundle is in the precision of its model: no forms were chosen for it"
        raise UsageError(message, where=where, help="`autoglmc why MODEL --target T` explains devices; see --calibration-data")
    units = _about(precision, word) if word else [one for one in precision.units if one.chosen == "fp32"]
    if word and not units:
        known = sorted({name for unit in precision.units for name in (*unit.operators, unit.kind)})
        raise UsageError(f"no operator of the bundle's model is called '{word}'", where=where, help=did_you_mean(word, known))
    return {"bundle": where, "target": manifest.target.name, "asked": word, "units": [one.as_json() for one in units]}


def _about(precision: PrecisionRecord, word: str) -> Sequence[UnitRecord]:
    """Those with a node of that name; else those of that operator; else those with the word in a name."""
    exact = [one if one.forms else structs.replace(one, operators=(word,)) for one in precision.units if word in one.operators]
    if exact:
        return exact
    alike = [one for one in precision.units if one.kind == word]
    inside = [one for one in precision.units if len(word) >= FEWEST and any(word in name for name in one.operators)]
    return alike or inside
