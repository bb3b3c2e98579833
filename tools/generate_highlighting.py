"""Writes editors/vscode/syntaxes/hw.tmLanguage.json from the words the checker knows.

python tools/generate_highlighting.py            rewrite the file
python tools/generate_highlighting.py --check    exit 1 if the file differs
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.grammar.words.reader import PROVENANCE
from autoglmc.grammar.words.units import ALL_UNITS
from autoglmc.targets.dtypes import DTYPES
from autoglmc.targets.precision import FORMS
from autoglmc.targets.predicates import PREDICATES

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "editors" / "vscode" / "syntaxes" / "hw.tmLanguage.json"


def control_words() -> list[str]:
    """The words that the grammar itself knows, as hw.lark has them: `WHERE.3: /where\\b/`."""
    return sorted(re.findall(r"^[A-Z]+\.3: /(\w+)\\b/$", (ROOT / "grammar" / "text" / "hw.lark").read_text("utf-8"), re.MULTILINE))


def block_words() -> list[str]:
    """Every block and property."""
    return sorted({word for rows in PROPERTIES.values() for word in rows} - set(control_words()))


def grammar() -> dict[str, Any]:
    """A TextMate grammar; the first pattern that fits at a place wins."""
    units = "|".join(re.escape(unit) for unit in sorted(ALL_UNITS, key=len, reverse=True))
    number = r"\b[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "autoglmc target",
        "scopeName": "source.hw",
        "fileTypes": ["hw"],
        "patterns": [
            {"name": "comment.line.double-slash.hw", "match": "//.*$"},
            {"name": "comment.block.hw", "begin": r"/\*", "end": r"\*/"},
            {"name": "string.quoted.double.hw", "match": '"[^"]*"?'},
            {"name": "storage.modifier.provenance.hw", "match": f"@(?:{_any(PROVENANCE)})\\b"},
            {"name": "variable.other.reference.hw", "match": r"&[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"},
            {
                "match": f"({number})\\s*({units})(?![A-Za-z0-9_])",
                "captures": {"1": {"name": "constant.numeric.hw"}, "2": {"name": "keyword.other.unit.hw"}},
            },
            {"name": "constant.numeric.hw", "match": number},
            {"name": "variable.other.attribute.hw", "match": r"\battr\.[A-Za-z_]\w*"},
            {"name": "keyword.control.hw", "match": f"\\b(?:{_any(control_words())})\\b"},
            {"name": "support.function.hw", "match": f"\\b(?:{_any(PREDICATES)})\\b(?=\\s*\\()"},
            {"name": "storage.type.hw", "match": f"\\b(?:{_any((*DTYPES, *FORMS))})\\b"},
            {"name": "keyword.other.hw", "match": f"(?:^|(?<=[;{{}}]))\\s*(?:{_any(block_words())})\\b"},
            {"name": "entity.name.function.operator.hw", "match": r"\b(?:[a-z][\w.]*::)?[A-Z][A-Za-z0-9]*[a-z0-9][A-Za-z0-9]*\b"},
        ],
    }


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words))


def text() -> str:
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(FILE.read_text("utf-8") != text())
    FILE.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
