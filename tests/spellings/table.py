"""One entry for every rule there is."""

from __future__ import annotations

from collections.abc import Mapping

from .attention import ATTENTION
from .decompose import DECOMPOSE
from .entry import Entry
from .gelu import GELUS
from .movement import MOVEMENT
from .quantised import QUANTISED
from .recover import RECOVER
from .simplify import SIMPLIFY, TUNE
from .tune import ORT

SPELLINGS: Mapping[str, Entry] = {**RECOVER, **SIMPLIFY, **GELUS, **DECOMPOSE, **TUNE, **ORT, **MOVEMENT, **QUANTISED, **ATTENTION}
