"""Writes docs/language.md from what the checker itself uses: properties, units, predicates, codes, and examples that are checked.

python tools/generate_language.py            rewrite the file
python tools/generate_language.py --check    exit 1 if the file differs
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from autoglmc.compiler.hw.explain_code import explain_code, messages_text
from autoglmc.grammar.lower.expression import LINK_VARIABLES
from autoglmc.grammar.lower.runtime import RUNTIMES, Form
from autoglmc.grammar.text.codes import CODES
from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.grammar.words.units import DIMENSIONS, EXAMPLES
from autoglmc.targets.dtypes import BITS
from autoglmc.targets.predicates import PREDICATES

ROOT = Path(__file__).resolve().parent.parent
FILE, TRIALS = ROOT / "docs" / "language.md", ROOT / "docs" / "language_trials.txt"
TEMPLATE = Path(__file__).with_name("language_page.md")
NO_FILE = dict.fromkeys(("HW0005", "HW0010"), "A bad example would fill this page.") | {"HW0709": "It depends on what is installed."}
"""Codes without an example file, and why."""
SAMPLES = {
    "const": "const(W, B)", "present": "present(attr.pads)", "rank": "rank(X) in 3..4", "dim": "dim(W, -1) <= 13, dim(X, C) <= 512",
    "remainder": "remainder(W, 0, 4) == 0",
    "all_dims": "all_dims(X, W, Y) <= 16384", "dtype": "dtype(X) == fp16", "elements": "elements(slope) == 1", "bytes": "bytes(W) <= 4 MiB",
    "shape": "shape(B) == [1, 1]", "static": "static(data)", "same_shape": "same_shape(A, B)", "all": "all(attr.dilations) == 1",
    "item": "item(attr.pads, 0) == item(attr.pads, 1)", "length": "length(attr.pads) == 4", "count": "count(inputs) >= 2",
    "nonnegative": "nonnegative(indices)",
    "per_tensor": "per_tensor(B)", "per_channel": "per_tensor(W) or per_channel(W)", "channel_axis": "channel_axis(W) == 0",
    "block": "block(B) in { 16, 32 }",
    "symmetric": "symmetric(W)", "zero_point": "zero_point(X) == 0", "scale": "scale(output) == 0.00390625",
    "native": "not native(Gelu)",
}  # fmt: skip


def page() -> str:
    """The whole page."""
    text = TEMPLATE.read_text("utf-8")
    parts = {"properties": _properties(), "units": _units(), "predicates": _predicates(), "codes": _codes(), "trials": _trials()}
    parts |= {"runtimes": _runtimes(), "dtypes": ", ".join(f"`{dtype}`" for dtype in BITS)}
    parts["link"] = ", ".join(f"`{name}`" for name in sorted(LINK_VARIABLES))
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _properties() -> str:
    parts = []
    for block, known in PROPERTIES.items():
        rows = [(f"`{row.example}`", row.dimension, "yes" if row.required else "", row.meaning) for row in known.values()]
        title = "At the outermost level" if block == "file" else f"`{block}`"
        parts.append(f"### {title}\n\n" + _table(("statement", "number", "required", "meaning"), rows))
    return "\n".join(parts)


def _units() -> str:
    rows = []
    for name, units in DIMENSIONS.items():
        spelled = ", ".join(f"`{unit}` ({size:.10g})" for unit, size in units.items())
        rows.append((name, spelled or "no unit", f"`{EXAMPLES[name]}`"))
    return _table(("of", "units (in SI: bytes, seconds, watts, operations or bytes a second)", "for example"), rows)


def _runtimes() -> str:
    rows = []
    for adapter, forms in RUNTIMES.items():
        for backend, form in forms.items():
            options = [*(f"`{name} {_value(form, name)}` (required)" for name in form.needed), *(f"`{name} N`" for name in form.optional)]
            options += [f"`{name} >= N`" for name in form.floors]
            rows.append((f"`runtime {adapter}{' ' + backend if backend else ''};`", ", ".join(options)))
    return _table(("written", "options"), rows)


def _value(form: Form, name: str) -> str:
    return "WORD" if name in form.values else "N"


def _predicates() -> str:
    rows = []
    for name, predicate in PREDICATES.items():
        takes = ", ".join(predicate.takes) + (", …" if predicate.repeats else "")
        rows.append((f"`{name}({takes})`", predicate.meaning, f"`{SAMPLES[name]}`"))
    return _table(("predicate", "is", "for example"), rows)


def _codes() -> str:
    return "\n".join(_code(code) for code in sorted(CODES))


def _code(code: str) -> str:
    parts = [f"### {code}\n\n{CODES[code].severity}: {CODES[code].meaning}\n"]
    if code in NO_FILE:
        parts.append(f"{NO_FILE[code]}\n")
    for example, messages in explain_code(code).examples:
        parts.append(f"```diff\n{example.difference()}\n```\n\n```text\n{messages_text(example, messages)}\n```\n")
    return "\n".join(parts)


def _trials() -> str:
    """Results of tools/fuzz_language.py and tools/single_faults.py, as they were printed."""
    return f"```text\n{TRIALS.read_text('utf-8').strip()}\n```"


def main() -> None:
    if "--check" in sys.argv[1:]:
        raise SystemExit(FILE.read_text("utf-8") != page())
    FILE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
