"""Does what a page of documentation says, in a temporary folder, and compares what is shown with what is printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from doc_pages import Item, items

ROOT = Path(__file__).parents[1]
CHECKOUT = ("compiler", "docs", "grammar", "passes", "targets", "tests", "tools", "__init__.py", "py.typed", "pyproject.toml", "README.md")
SECONDS = 300
"""After which a command is taken to hang."""
COLUMNS = "100"
PLACEHOLDERS: Mapping[str, str] = {
    "MODEL": "model.onnx",
    "BUNDLE": "model.a16",
    "FILE.hw": "board.hw",
    "T": "a16",
    "TARGET": "a16",
    "--shape …": "--shape input_ids=1x32",
}
"""What running text says for anything of a kind, and what is put there to run it."""
STAND_INS: Mapping[str, str] = {"model.onnx": "tests/models/bert_tiny.onnx@batch=1,seq=32", "board.hw": "targets/x86_cpu.hw"}
"""What placeholders stand for, where the page has no file of that name."""
PROGRESS = re.compile(r"[a-z-]+( [a-z-]+)*")
"""A line of progress on stderr, which a terminal shows for a moment only."""
MEASURED = re.compile(r"(compared|output|boundary)  ?")
"""Rows of a comparison: the last digits of a sum depend on the processor."""
NUMBER = re.compile(r"-?\d[\d.,]*(e[-+]\d+)?( ?([num]?s|[KMG]?i?B|%))?\b")


@dataclass
class Page:
    """One run of a page: `text` is the page with what the commands really print."""

    path: Path
    folder: Path
    lines: list[str]
    wrong: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def run_page(path: Path, folder: Path, extra: str = "") -> tuple[str, list[str]]:
    """Does everything on the page that needs no module but `extra`. Returns the page as it should read, and what went wrong."""
    page = Page(path, folder, path.read_text(encoding="utf-8").split("\n"))
    page.environment = {**os.environ, "COLUMNS": COLUMNS, "HOME": str(folder.parent), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    page.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    moved = 0
    found = items(path)
    for item in [item for item in found if item.kind != "mention"] + [item for item in found if item.kind == "mention"]:
        if not item.not_run and item.needs in ("", extra):
            moved += _do(page, item, moved)
    return "\n".join(page.lines), page.wrong


def _do(page: Page, item: Item, moved: int) -> int:
    """Returns by how many lines the page has grown."""
    where = f"{page.path.relative_to(ROOT)}:{item.line + 1}"
    match item.kind:
        case "files":
            for name, source in (pair.split("=", 1) for pair in item.text.split()):
                _provide(page, name, source)
        case "file":
            (page.folder / item.name).parent.mkdir(parents=True, exist_ok=True)
            (page.folder / item.name).write_text(item.text, encoding="utf-8")
        case "edit":
            page.wrong += [f"{where}: {problem}" for problem in _edit(page.folder / item.name, item.text)]
        case "python":
            _command(page, where, [sys.executable, "-c", item.text], 0)
        case "stray":
            page.wrong.append(f"{where}: `{item.text}` is neither in a ```console block nor marked `<!-- not run: REASON -->`")
        case "mention":
            _command(page, where, ["bash", "-c", _filled(page, item.text)], item.exits)
        case "command":
            return _compare(page, item, where, moved)
    return 0


def _provide(page: Page, name: str, source: str) -> None:
    """A copy of a file of the repository, of a model with its dims fixed, or of the code (`.=checkout`)."""
    if source == "checkout":
        ignore = shutil.ignore_patterns("goldens", ".cache")
        for part in CHECKOUT:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, page.folder / part, ignore=ignore)
            else:
                shutil.copy2(ROOT / part, page.folder / part)
        page.environment["PYTHONPATH"] = str(page.folder.parent)
        return
    file, _, sizes = source.partition("@")
    if not sizes:
        shutil.copy2(ROOT / file, page.folder / name)
        return
    fixed, model = dict(size.split("=") for size in sizes.split(",")), onnx.load(ROOT / file)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in fixed:
                dim.dim_value = int(fixed[dim.dim_param])
    onnx.save(model, page.folder / name)


def _edit(file: Path, diff: str) -> Iterator[str]:
    """Applies each hunk (hunks are parted by `@@` lines) at the one place where it fits."""
    text = file.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = [line for line in hunk.split("\n") if line]
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        if lines and text.count(before) != 1:
            yield f"the lines to edit stand {text.count(before)} times in {file.name}:\n{before}"
        elif lines:
            text = text.replace(before, after)
    file.write_text(text, encoding="utf-8")


def _filled(page: Page, mention: str) -> str:
    """A command of running text with something for each placeholder; a bare name is asked for its help."""
    if len(mention.split()) == 2 and "-" not in mention and "." not in mention:
        return f"{mention} --help"
    for name, source in STAND_INS.items():
        if not (page.folder / name).exists():
            _provide(page, name, source)
    for placeholder, value in PLACEHOLDERS.items():
        mention = re.sub(rf"(?<![\w.-]){re.escape(placeholder)}(?![\w.-])", value, mention)
    return mention


def _command(page: Page, where: str, arguments: Sequence[str], exits: int) -> str:
    """What it prints; on a failure (that may be the expected one) also on stderr."""
    done = subprocess.run(
        arguments, cwd=page.folder, env=page.environment, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
    )
    errors = "\n".join(line for line in done.stderr.split("\n") if not PROGRESS.fullmatch(line)).strip("\n")
    printed = done.stdout.rstrip("\n") + (f"\n{errors}" if done.returncode and errors else "")
    if done.returncode != exits:
        page.wrong.append(f"{where}: `{arguments[-1]}` exits with {done.returncode}, not {exits}:\n{printed}")
    return printed.lstrip("\n")


def _compare(page: Page, item: Item, where: str, moved: int) -> int:
    """The lines shown below a command against those printed; what differs is replaced in page.lines."""
    before = len(page.wrong)
    printed = [line.rstrip() for line in _command(page, where, ["bash", "-c", item.text], item.exits).split("\n")]
    shown = [line.rstrip() for line in item.shown]
    blank = len(shown) - len("\n".join(shown).rstrip("\n").split("\n")) if any(shown) else 0
    if not any(shown) or len(page.wrong) > before:
        return 0
    cut = next((k for k, line in enumerate(shown) if line.strip() == "…"), None)
    if cut is not None:
        printed = [*printed[:cut], "…"]
    else:
        shown = shown[: len(shown) - blank]
    if _masked(shown, item.times_vary) == _masked(printed, item.times_vary):
        return 0
    first, last = item.line + moved, item.end + moved - (blank if cut is None else 0)
    page.lines[first:last] = printed
    page.wrong.append(f"{where}: below `{item.text}` the page shows\n" + "\n".join(shown) + "\nand printed is\n" + "\n".join(printed))
    return len(printed) - (last - first)


def _masked(lines: Sequence[str], everything: bool) -> list[str]:
    """Without what a clock decides, where `everything` may vary: numbers and the width of columns; else only without measured errors."""
    return [re.sub(r"[\s─━█▏▎▍▌▋▊▉·]+", " ", NUMBER.sub("#", line)).strip() if everything or MEASURED.match(line) else line for line in lines]
