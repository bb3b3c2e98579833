"""Writes grammar/hw.tables.json, the parse tables of grammar/hw.lark: reading them takes a sixth of the time that making them does.

python tools/generate_parser.py            rewrite the file
python tools/generate_parser.py --check    exit 1 if the file is of another grammar or another lark
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

GRAMMAR = Path(__file__).resolve().parent.parent / "grammar"
FILE = GRAMMAR / "hw.tables.json"


def content() -> dict[str, Any]:
    """lark's own serialisation, with the version of lark and the digest of the grammar it is of.

    Numbers of states differ from run to run."""
    import lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    from autoglmc.grammar.syntax import build_parser

    data, memo = build_parser().memo_serialize([TerminalDef, Rule])
    digest = hashlib.sha256((GRAMMAR / "hw.lark").read_bytes()).hexdigest()
    return {"lark": lark.__version__, "grammar": digest, "data": data, "memo": memo}


def up_to_date() -> bool:
    made, wanted = json.loads(FILE.read_text("utf-8")), content()
    return all(made[key] == wanted[key] for key in ("lark", "grammar"))


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(not up_to_date())
    FILE.write_text(json.dumps(content(), separators=(",", ":")) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
