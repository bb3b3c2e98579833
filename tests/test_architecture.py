"""The house plan, asserted: which folder may import which, no circles, small files, everything ships, start-up stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("compiler", "grammar", "passes", "targets")
LARGEST_MODULE, LARGEST_FOLDER = 300, 25
"""Lines of a module; modules of a folder (data apart)."""
LEAVES = (
    "compiler/activity.py", "compiler/board.py", "compiler/differing_digits.py", "compiler/errors.py", "compiler/extras.py",
    "compiler/frames.py", "compiler/free_memory.py", "compiler/kept_places.py", "compiler/mapped_arrays.py", "compiler/output_file.py",
    "compiler/own_python.py", "compiler/own_script.py", "compiler/parent.py", "compiler/quantities.py", "compiler/source_digest.py",
)  # fmt: skip
"""What can be told, how numbers are written, and what is under way: every folder of compiler/ may import these, and they import only each
other."""
ARROWS: dict[str, set[str]] = {
    **{leaf: set(LEAVES) - {leaf} for leaf in LEAVES},
    # targets/ knows nobody.
    "targets": set(),
    # grammar/: a .hw file to a Target.
    "grammar/text": {"targets"},
    "grammar/words": {"grammar/text", "targets"},
    "grammar/files": {"grammar/text", "grammar/words", "targets"},
    "grammar/lower": {"grammar/text", "grammar/words", "targets"},
    "grammar/check": {"grammar/lower", "grammar/text", "grammar/words", "targets"},
    "grammar/editor": {"grammar/lower", "grammar/text", "grammar/words", "targets"},
    "grammar/rule_facts.py": {"targets"},
    "grammar/show.py": {"grammar/files", "grammar/text"},
    "grammar/analyse.py": {"grammar/check", "grammar/files", "grammar/lower", "grammar/text", "grammar/words", "targets"},
    "grammar/__init__.py": {"grammar/analyse.py", "grammar/files", "grammar/text", "targets"},
    # passes/: a graph to a placed and cut graph.
    "passes/contrib_types": set(),
    "passes/mapped": set(),
    "passes/graph": {"passes/contrib_types", "passes/mapped", "targets"},
    "passes/formula": {"passes/graph", "targets"},
    "passes/rule": {"passes/formula", "passes/graph", "targets"},
    "passes/recover": {"passes/formula", "passes/graph", "passes/rule", "targets"},
    "passes/simplify": {"passes/formula", "passes/graph", "passes/rule", "targets"},
    "passes/substitute": {"passes/graph", "passes/rule", "targets"},
    "passes/decompose": {"passes/formula", "passes/graph", "passes/rule", "targets"},
    "passes/tune": {"passes/formula", "passes/graph", "passes/rule"},
    "passes/solve": set(),
    "passes/solve/memory": {"passes/solve"},
    "passes/solve/limits": {"passes/solve"},
    "passes/solve/overlap": {"passes/solve"},
    "passes/precision": {"passes/graph", "passes/place", "passes/solve", "passes/solve/limits", "targets"},
    "passes/prune": {"passes/graph", "targets"},
    "passes/state": {"passes/formula", "passes/graph", "passes/rule", "targets"},
    "passes/layout": {"passes/graph", "passes/rule", "passes/solve", "targets"},
    "passes/place": {
        "passes/graph", "passes/mapped", "passes/rule", "passes/solve", "passes/solve/limits", "passes/solve/memory",
        "passes/solve/overlap", "targets",
    },
    "passes/library.py": {
        "passes/decompose", "passes/recover", "passes/rule", "passes/simplify", "passes/substitute", "passes/tune", "targets",
    },
    # compiler/: the stages, then who calls them. Every folder may also import LEAVES.
    "compiler/arena": set(),
    "compiler/cache": set(),
    "compiler/reference/kernels": set(),
    # The reference owes nothing to what it judges: it knows where models and caches lie, and how values are written, nothing else.
    "compiler/reference": {"compiler/cache", "compiler/devices", "compiler/load", "compiler/reference/kernels", "passes/mapped", "targets"},
    "compiler/devices": {"targets"},
    "compiler/exchange": set(),
    "compiler/load": {"compiler/devices", "compiler/exchange", "passes/contrib_types", "passes/mapped"},
    "compiler/inputs": {"compiler/load", "passes/mapped"},
    "compiler/bundle": {"compiler/cache", "compiler/devices", "passes/mapped", "targets"},
    "compiler/pipeline": {
        "passes/graph", "passes/library.py", "passes/mapped", "passes/place", "passes/rule", "passes/stages.py", "targets",
    },
    "compiler/precision": {
        "compiler/bundle", "compiler/cache", "compiler/devices", "compiler/load", "compiler/pipeline", "compiler/plan", "compiler/run",
        "passes/graph", "passes/place", "passes/precision", "passes/rule", "targets",
    },
    "compiler/prune": {
        "compiler/bundle", "compiler/load", "compiler/pipeline", "compiler/plan", "compiler/precision", "passes/graph", "passes/prune",
        "targets",
    },
    "compiler/state": {
        "compiler/inputs", "compiler/load", "compiler/pipeline", "passes/graph", "passes/library.py", "passes/rule", "passes/stages.py",
        "passes/state", "targets",
    },
    "compiler/plan": {
        "compiler/arena", "compiler/bundle", "compiler/devices", "compiler/load", "compiler/pipeline", "passes/graph", "passes/mapped",
        "passes/place", "passes/rule", "passes/solve", "passes/solve/memory", "targets",
    },
    "compiler/run/check": {"compiler/bundle", "compiler/devices", "targets"},
    "compiler/run": {
        "compiler/bundle", "compiler/devices", "compiler/inputs", "compiler/load", "compiler/run/check", "compiler/verify",
    },
    "compiler/emit": {"compiler/bundle", "compiler/devices", "compiler/pipeline", "compiler/plan", "passes/place", "targets"},
    "compiler/verify": {"compiler/bundle", "compiler/devices", "compiler/inputs", "compiler/load", "compiler/reference"},
    "compiler/probe": {
        "compiler/devices", "compiler/reference", "compiler/verify", "passes/graph", "passes/place", "passes/precision", "targets",
    },
    "compiler/watch": {
        "compiler/bundle", "compiler/inputs", "compiler/load", "compiler/pipeline",
        "compiler/reference", "compiler/run", "compiler/verify", "passes/graph",
        "passes/place",
    },
    "compiler/surgery": {
        "compiler/exchange", "compiler/hw", "compiler/inputs", "compiler/load",
        "compiler/pipeline", "compiler/plan", "compiler/reference", "compiler/verify",
        "compiler/watch", "passes/graph", "passes/rule", "targets",
    },
    "compiler/hw": {
        "grammar/__init__.py", "grammar/analyse.py", "grammar/check", "grammar/editor", "grammar/rule_facts.py", "grammar/text",
        "grammar/words", "passes/graph", "passes/rule", "targets",
    },
    "compiler/relax": {"compiler/hw", "targets"},
    "compiler/explain": {
        "compiler/bundle", "compiler/driver", "compiler/emit", "compiler/hw", "compiler/inputs", "compiler/load", "compiler/pipeline",
        "compiler/plan", "compiler/state", "compiler/verify", "passes/graph", "passes/place", "passes/rule", "targets",
    },
    "compiler/calibrate": {
        "compiler/bundle", "compiler/devices", "compiler/driver", "compiler/hw", "compiler/inputs", "compiler/plan", "compiler/run",
        "passes/graph", "passes/place", "targets",
    },
    "compiler/driver": {
        "compiler/bundle", "compiler/devices", "compiler/emit", "compiler/hw", "compiler/inputs", "compiler/load", "compiler/pipeline",
        "compiler/plan", "compiler/precision", "compiler/probe", "compiler/prune", "compiler/reference", "compiler/relax", "compiler/run",
        "compiler/state", "compiler/surgery", "compiler/verify", "compiler/watch", "passes/mapped", "passes/place",
        "passes/rule", "targets",
    },
    "compiler/what_if": {
        "compiler/bundle", "compiler/driver", "compiler/hw", "compiler/load", "compiler/pipeline", "compiler/plan",
        "grammar/__init__.py", "grammar/words", "passes/place", "targets",
    },
    "compiler/bench": {"compiler/bundle", "compiler/run"},
    "compiler/text": {"compiler/run"},
    "compiler/images": {"compiler/text"},
    "compiler/export": {
        "compiler/devices", "compiler/hw", "compiler/inputs", "compiler/load", "compiler/pipeline", "compiler/precision",
        "compiler/reference", "compiler/state", "compiler/verify",
        "passes/graph", "passes/mapped", "passes/stages.py",
    },
    "compiler/compare": {"compiler/bench", "compiler/driver", "compiler/load", "targets"},
    "compiler/report": {"compiler/bench", "compiler/bundle", "compiler/compare", "compiler/run", "targets"},
    "compiler/commands": {
        "compiler/bench", "compiler/cache", "compiler/compare", "compiler/calibrate",
        "compiler/devices", "compiler/driver", "compiler/explain", "compiler/export", "compiler/hw", "compiler/images", "compiler/inputs",
        "compiler/load", "compiler/pipeline", "compiler/precision", "compiler/probe", "compiler/prune", "compiler/report", "compiler/run",
        "compiler/state", "compiler/surgery", "compiler/text",
        "compiler/verify", "compiler/watch", "compiler/what_if",
        "grammar/__init__.py", "grammar/show.py", "grammar/text", "targets",
    },
    # A process that watches a command knows nothing of what the command does.
    "compiler/guard": set(),
    "compiler/cli.py": {"compiler/commands", "compiler/devices", "compiler/guard", "compiler/hw"},
    "passes/stages.py": {"passes/graph", "passes/layout", "passes/library.py", "passes/rule", "passes/simplify"},
    "compiler/api": {
        "compiler/driver", "compiler/explain", "compiler/hw", "compiler/inputs", "compiler/load", "compiler/precision", "compiler/prune",
        "compiler/run", "compiler/state", "compiler/surgery", "compiler/verify", "targets",
    },
}  # fmt: skip
"""A folder (or a file that lies beside folders), and what it may import besides itself. TYPE_CHECKING imports count."""
RULES = ("recover", "simplify", "substitute", "decompose", "tune")
"""Folders of passes/ whose files are rules: they import none of each other."""
DATA_IN_FOLDERS = {
    "compiler/calibrate/grid": "compiler/calibrate",
    "compiler/calibrate/measure": "compiler/calibrate",
    "compiler/calibrate/profiles": "compiler/calibrate",
    "compiler/commands/line": "compiler/commands",
    "compiler/report/page": "compiler/report",
    "compiler/driver/entries": "compiler/driver",
    "compiler/driver/smaller": "compiler/driver",
    "compiler/precision/weights": "compiler/precision",
    "compiler/report/sweeps": "compiler/report",
    "compiler/report/why_screen": "compiler/report",
    "compiler/run/decoder": "compiler/run",
    "compiler/verify/chain": "compiler/verify",
    "compiler/verify/decoder": "compiler/verify",
    "passes/place/memory": "passes/place",
    "compiler/devices/core_ai": "compiler/devices",
    "compiler/bundle/blobs": "compiler/bundle",
    "compiler/plan/compilers": "compiler/plan",
    "compiler/devices/ethos_u": "compiler/devices",
    "compiler/devices/litert": "compiler/devices",
    "compiler/devices/mil": "compiler/devices",
    "compiler/devices/tflite": "compiler/devices",
    "compiler/devices/tflite/integers": "compiler/devices",
    "compiler/load/fold": "compiler/load",
    "compiler/load/known": "compiler/load",
    "targets/quantised": "targets",
    "targets/work": "targets",
    "compiler/load/lift": "compiler/load",
    "compiler/reference/kernels/microsoft": "compiler/reference/kernels",
    "compiler/reference/kernels/quantised": "compiler/reference/kernels",
}
"""Folders inside a room, which count as that room for arrows."""
HEAVY = {
    "onnx", "onnxruntime", "onnxsim", "onnx_graphsurgeon", "ortools", "numpy", "networkx", "rich", "jinja2", "jsonschema", "lark", "sympy",
}  # fmt: skip
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "base.py", "manager.py"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name inside the repository or outside) of every import, wherever it stands in the file."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level], *([node.module] if node.module else [])] if node.level else [node.module or ""]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the repository; a package by its folder's."""
    found = {}
    for path in (path for top in TOPS for path in sources(top)):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(path: Path) -> str:
    """The folder, or flat file, that a module belongs to: a key of ARROWS."""
    place = path.relative_to(ROOT)
    if len(place.parts) == 2 and place.parts[0] != "targets":
        return place.as_posix()
    folder = place.parent.as_posix()
    return DATA_IN_FOLDERS.get(folder, folder)


def needs(path: Path) -> Iterator[tuple[int, Path]]:
    """(line, module file) of everything of ours that a module imports."""
    for line, name in imports(path):
        found = MODULES.get(name) or MODULES.get(name.rpartition(".")[0])
        if found is not None and found != path:
            yield line, found


def is_leaf(path: Path, other: Path) -> bool:
    return room(other) in LEAVES and path.is_relative_to(ROOT / "compiler") and room(path) not in LEAVES


def test_every_file_has_its_room() -> None:
    """No flat file but those of the table, no folder that it does not know."""
    bare = {"compiler/__init__.py", "passes/__init__.py"}
    assert not {room(path) for path in MODULES.values()} - set(ARROWS) - bare


def test_imports_follow_the_arrows() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {other.relative_to(ROOT)}"
        for path in MODULES.values()
        for line, other in needs(path)
        if room(other) != room(path) and room(other) not in ARROWS.get(room(path), set()) and not is_leaf(path, other)
    ]
    assert not wrong


def test_every_arrow_is_used() -> None:
    """An arrow that nothing needs is a door left open."""
    used = {(room(path), room(other)) for path in MODULES.values() for _, other in needs(path)}
    assert not [
        f"{folder} -> {other}"
        for folder, others in ARROWS.items()
        if folder not in LEAVES
        for other in others
        if (folder, other) not in used
    ]


def test_files_import_in_no_circle() -> None:
    """Imports inside functions and under TYPE_CHECKING count. CycleError names the circle."""
    tuple(TopologicalSorter({path: {other for _, other in needs(path)} for path in MODULES.values()}).static_order())


def test_modules_and_folders_are_small() -> None:
    long = {path.relative_to(ROOT): n for path in MODULES.values() if (n := len(path.read_text("utf-8").splitlines())) >= LARGEST_MODULE}
    assert not long
    full = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    assert not {folder.relative_to(ROOT): number for folder, number in full.items() if number > LARGEST_FOLDER}


@pytest.mark.parametrize("folder", TOPS)
def test_imports_between_folders_are_relative(folder: str) -> None:
    wrong = [f"{p.relative_to(ROOT)}:{n}: {name}" for p in sources(folder) for n, name in imports(p) if name.split(".")[0] == "autoglmc"]
    assert not wrong


def test_no_folder_of_rules_imports_another() -> None:
    """Nor does a file of rules import another one of its folder."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {other.relative_to(ROOT)}"
        for folder in RULES
        for path in sources(f"passes/{folder}")
        for line, other in needs(path)
        if other.parent.name in RULES
    ]
    assert not wrong


def test_tests_mirror_the_folders() -> None:
    """A folder of tests is named as the folder that it tests."""
    extra = {"tests/devices", "tests/models", "tests/spellings", "tests/targets", "tests/docs", "tests/examples"}
    kept = {"tests/grammar/errors", "tests/grammar/format"}
    folders = {p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("*.py")} - {"tests", *extra, *kept}
    assert not {folder for folder in folders if not (ROOT / folder.removeprefix("tests/")).is_dir()}


def test_no_module_hides_another_of_its_name() -> None:
    """Tests and benchmarks are imported by their bare names: of two of one name, the one met first would be taken."""
    names = Counter(path.name for folder in ("tests", "benchmarks") for path in (ROOT / folder).glob("*.py"))
    assert [name for name, times in names.items() if times > 1] == []


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for folder in TOPS for path in sources(folder) if path.name in FORBIDDEN_NAMES]


def test_every_folder_with_code_ships() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for folder in TOPS for path in sources(folder)}
    assert {"autoglmc", *(".".join(["autoglmc", *folder.relative_to(ROOT).parts]) for folder in folders)} == declared


def test_every_data_file_ships() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    tracked = subprocess.run(["git", "ls-files", *TOPS], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    missing = []
    for name in (Path(name) for name in tracked if not name.endswith(".py")):
        package = next(
            (p for p in name.parents if (ROOT / p / "__init__.py").is_file()), name.parent
        )  # std/ holds no code: its parent ships it
        patterns = data.get(".".join(["autoglmc", *package.parts]), [])
        if not any(pattern.count("/") == len(name.relative_to(package).parts) - 1 and name.match(pattern) for pattern in patterns):
            missing.append(str(name))
    assert not missing


@pytest.mark.parametrize(
    "statement", ["import autoglmc", "from autoglmc.compiler import cli", "from autoglmc.compiler.cli import run; run(['--help'])"]
)
def test_start_up_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_only_the_command_line_prints() -> None:
    allowed = {ROOT / "compiler" / "cli.py", *sources("compiler/commands"), *sources("compiler/report")}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in TOPS
        for path in sources(folder)
        if path not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


def test_every_dependency_is_used_and_has_a_line() -> None:
    """docs/architecture.md says of each what it is best at."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w-]+", line)[0] for line in declared}  # type: ignore[index]
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Dependencies")[2]
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == names
    imported = {name.split(".")[0] for path in MODULES.values() for _, name in imports(path)}
    assert {name.replace("-", "_") for name in names} <= imported


def test_the_map_names_files_that_exist() -> None:
    """Every `file.py` and `folder/file.py` of docs/architecture.md is there."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    assert len(named) > 30
    known = {
        path.relative_to(ROOT).as_posix() for path in (*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").glob("*.py"))
    }
    assert not {name for name in named if not any(path == name or path.endswith(f"/{name}") for path in known)}
