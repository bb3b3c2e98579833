"""Mutation check of the rules: each number in their mathematics is changed by 1 %, and a test must fail.

    python tools/mutate_rules.py [FILE …]

Numbers are float literals, and integers that are a term, factor, divisor or exponent of a formula (not indices, axes or shapes, nor what
a shortcut compares with). Exponents, which formulas count in halves, change by one half. Each mutant is a copy of the package with one
literal changed; the tests of that rule file run on it until the first failure, except those that compare texts or times.

Writes docs/mutations.txt, which docs/rules.md quotes; only the lines of the files asked for are renewed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoglmc.passes.library import every_rule
from autoglmc.passes.rule.rewrite import Rewrite

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "docs" / "mutations.txt"
FOLDERS = ("decompose", "recover", "simplify", "substitute", "tune")
TESTS: Mapping[str, Sequence[str]] = {
    "recover": ("recover/test_recover.py", "recover/test_space_to_depth.py"),
    "recover/attention": ("recover/test_attention.py",),
    "recover/attention_with_past": ("recover/test_attention_with_past.py",),
    "recover/rotary": ("recover/test_attention.py",),
    "decompose": ("decompose/test_decompose.py",),
    "decompose/attention": ("recover/test_attention.py",),
    "substitute": ("substitute/test_substitute_gelu.py", "substitute/test_substitute_gelu_relu.py", "substitute/test_gelu_table.py"),
    "simplify": ("simplify/test_simplify.py",),
    "simplify/remove_identity": ("simplify/test_remove_identity.py",),
    "simplify/fold_batchnorm": ("simplify/test_simplify.py", "simplify/test_fold_batchnorm.py"),
    "simplify/merge_equal": ("simplify/test_simplify.py", "simplify/test_merge_equal.py"),
    "tune": ("simplify/test_simplify.py", "tune/test_fold_bias.py", "tune/test_slow_in_ort.py"),
    "tune/activations": ("simplify/test_simplify.py", "tune/test_activations.py", "tune/test_slow_in_ort.py"),
    "tune/closed_rows": ("tune/test_closed_rows.py",),
    "tune/plain_weights": ("tune/test_plain_weights.py",),
}
"""Tests of a file of rules (folder/name), or of all files in a folder."""
EVERY = ROOT / "tests" / "passes" / "test_every_rule.py::test_any_spelling_anywhere"
FORMULAS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
MATHEMATICS = {"add", "sub", "mul", "op", "clip", "scalar", "erf", "tanh", "sqrt", "_scaled", "number", "Form"}
"""Calls whose numeric arguments are numbers of a formula."""


@dataclass(frozen=True, slots=True)
class Constant:
    file: Path
    line: int
    start: int
    end: int
    """Columns in bytes, as ast counts them."""
    value: float
    exponent: bool = False

    def mutated(self) -> str:
        """The source with the number 1 % larger, an exponent by one half."""
        lines = self.file.read_bytes().split(b"\n")
        line = lines[self.line - 1]
        value = self.value + 0.5 if self.exponent else self.value * 1.01
        lines[self.line - 1] = line[: self.start] + f"({value!r})".encode() + line[self.end :]
        return b"\n".join(lines).decode()

    def __str__(self) -> str:
        text = self.file.read_text(encoding="utf-8").split("\n")[self.line - 1].strip()
        return f"{self.value!r} in `{text}`"


def constants(file: Path) -> Iterator[Constant]:
    tree = ast.parse(file.read_bytes())
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value and node.end_col_offset is not None:
            compared = isinstance(parents[node], ast.Compare)
            if (isinstance(node.value, float) and not compared) or _in_formula(node, parents):
                yield Constant(file, node.lineno, node.col_offset, node.end_col_offset, node.value, _is_exponent(node, parents))


def _is_exponent(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> bool:
    above = parents[node]
    inside, above = (above, parents[above]) if isinstance(above, ast.UnaryOp) else (node, above)
    return isinstance(above, ast.BinOp) and isinstance(above.op, ast.Pow) and above.right is inside


def _in_formula(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """Whether an integer is an operand of arithmetic on tensors or numbers, not on lengths and axes."""
    parent = parents[node]
    inside: ast.AST = node
    while inside in parents:
        inside = parents[inside]
        if isinstance(inside, ast.Subscript | ast.Slice | ast.Compare) or _called(inside) in ("range", "len", "int"):
            return False
    if isinstance(parent, ast.BinOp):
        other = parent.right if parent.left is node else parent.left
        return isinstance(parent.op, FORMULAS) and _called(other) not in ("len", "int") and not isinstance(other, ast.Tuple)
    return _called(parent) in MATHEMATICS


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def survives(constant: Constant, copy: Path) -> bool:
    """Whether the tests of the file pass on its mutant."""
    place = copy / "autoglmc" / constant.file.relative_to(ROOT)
    place.write_text(constant.mutated(), encoding="utf-8")
    passed = passes(constant.file, copy)
    place.write_bytes(constant.file.read_bytes())
    return passed


def passes(file: Path, copy: Path) -> bool:
    """Whether the tests of a rule file pass on the copy. Tests of texts and of time are left out: a busy machine is no finding."""
    tests = [ROOT / "tests" / "passes" / name for name in TESTS.get(f"{file.parent.name}/{file.stem}") or TESTS[file.parent.name]]
    tests.sort(key=lambda test: test.stem != f"test_{file.stem}")  # most mutants die where the file's own tests are
    properties = [f"{EVERY}[{name}]" for name in rules(file)]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-k", "not golden and not bounded_time"]
    command = [sys.executable, "-m", "pytest", *options, *properties, *(str(test) for test in tests if test.exists())]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "AUTOGLMC_UNSHRUNK": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"pytest: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode == 0


def rules(file: Path) -> list[str]:
    """Names of the rules that a file defines."""
    module = importlib.import_module(f"autoglmc.passes.{file.parent.name}.{file.stem}")
    every = {rule.name for rule in every_rule()}
    values = [item for value in vars(module).values() for item in (value if isinstance(value, tuple) else (value,))]
    found = {value.name for value in values if isinstance(value, Rewrite)} & every
    # a property of bounded forms is tested by their own files: there the bound is certified, here it is only kept
    return [] if file.parent.name == "substitute" else sorted(found)


def files_of_rules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / "passes" / folder).glob("*.py") if path.name != "__init__.py")


def label(file: Path) -> str:
    """recover/gelu.py"""
    return f"{file.parent.name}/{file.name}"


def check(files: Sequence[Path]) -> dict[str, list[str]]:
    """Lines of the result by file."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("compiler", "grammar", "passes", "targets"):
            shutil.copytree(ROOT / name, copy / "autoglmc" / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "__init__.py", copy / "autoglmc")
        for file in files:
            every = list(constants(file))
            if every and not passes(file, copy):
                raise SystemExit(f"{label(file)}: its tests fail before anything is changed")
            alive = [constant for constant in every if survives(constant, copy)]
            lines = [f"{label(file)}\t{len(every)}\t{len(every) - len(alive)}"]
            found[label(file)] = [*lines, *(f"\tsurvives: {constant}" for constant in alive)]
            print("\n".join(found[label(file)]), flush=True)
    return found


def known() -> dict[str, list[str]]:
    """The result as written before, by file."""
    found: dict[str, list[str]] = {}
    for line in RESULT.read_text(encoding="utf-8").splitlines() if RESULT.exists() else ():
        if not line.startswith("\t"):
            found[line.partition("\t")[0]] = []
        found[next(reversed(found))].append(line)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help="rule files, as recover/gelu.py (default: all)")
    options = parser.parse_args()
    every = files_of_rules()
    wanted = [path for path in every if not options.files or label(path) in options.files]
    for path in wanted:  # each written at once: a run takes long
        new = check([path])
        found = known() | new
        names = [label(other) for other in every if label(other) in found]
        RESULT.write_text("\n".join(line for name in names for line in found[name]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
