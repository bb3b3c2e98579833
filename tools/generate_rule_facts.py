"""Writes grammar/rule_facts.json, what the .hw checker knows of the built-in rules, from the rules themselves.

    python tools/generate_rule_facts.py            rewrite the file
    python tools/generate_rule_facts.py --check    exit 1 if the file differs

The rules need onnx and numpy; checking a .hw file must not pay for importing either.
Layout: a list of {"name", "matches", "emits", "error"}, the fields of targets.model.RuleFacts.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from autoglmc.passes.library import facts

FILE = Path(__file__).resolve().parent.parent / "grammar" / "rule_facts.json"


def text() -> str:
    return "[\n" + ",\n".join(f"  {json.dumps(dataclasses.asdict(fact))}" for fact in facts()) + "\n]\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(FILE.read_text("utf-8") != text())
    FILE.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
