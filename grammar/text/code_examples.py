"""Examples of the codes: for each a file that gets the message and the same file fixed, `examples/hwNNNN….{bad,fixed}.hw`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("examples")


@dataclass(frozen=True, slots=True)
class Example:
    bad: Path
    fixed: Path

    def difference(self) -> str:
        """The lines that differ, with one line of context: `- ` before a line of the bad file, `+ ` before one of the fixed file."""
        from difflib import unified_diff  # only the language page and `check --explain` need it

        bad, fixed = (path.read_bytes().decode("utf-8", "replace").splitlines() for path in (self.bad, self.fixed))
        lines = list(unified_diff(bad, fixed, lineterm="", n=1))[2:]
        return "\n".join("  …" if line.startswith("@@") else line[:1] + " " + line[1:] for line in lines).removeprefix("  …\n")


def examples_of(code: str) -> tuple[Example, ...]:
    """The examples of a code; none for those about the size of a file or the number of messages."""
    bad = sorted(FOLDER.glob(f"{code.lower()}*.bad.hw"))
    return tuple(Example(path, path.with_name(path.name.replace(".bad.", ".fixed."))) for path in bad)
