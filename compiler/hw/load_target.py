"""Targets by path or by stock name, checked against the rules this compiler has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ...grammar import Diagnostic, HwError, Resolved, Result, analyse_file, analyse_text
from ...grammar import load_target as read_target
from ...grammar.rule_facts import rule_facts
from ...targets.model import Target
from ...targets.stock import stock_names, stock_path
from ..errors import UsageError, did_you_mean
from .calibration_summary import CalibrationSummary, calibrations_of
from .remarks import REMARKS, told


def load_target(target: str | PathLike[str], warn: Callable[[str], None] | None = None) -> Target:
    """The target of a .hw file or of a stock name ("a16", "a16.hw" where no such file is here); `warn` gets what `told` says of it.

    Raises UsageError where there is no such file or name, grammar.HwError with every mistake of the file."""
    warnings: list[Diagnostic] = []
    found = read_target(find_target(target), rule_facts(), warnings.append)
    if warn is not None:
        for text in told(warnings):
            warn(text)
    return found


def analyse_target(target: str | Path, strict: bool = False) -> Result:
    """Every message about a target and the files it includes, and the target if none is an error. Raises UsageError like `load_target`."""
    return analyse_file(find_target(target), rule_facts(), strict)


def text_errors(text: str, path: Path) -> Iterator[str]:
    """Why a text would be refused if it stood in the file, which need not exist; what it includes is read from beside that."""
    for found in analyse_text(text, str(path), rule_facts()).diagnostics:
        if found.severity == "error":
            yield f"{found.message}{f' ({found.help})' if found.help else ''}"


def text_remarks(text: str, path: Path) -> Iterator[str]:
    """What `check` would remark on the calibrations of the same."""
    for found in analyse_text(text, str(path), rule_facts()).diagnostics:
        if found.code in REMARKS:
            yield f"{found.message}{f' ({found.help})' if found.help else ''}"


def resolved_target(target: str | Path) -> tuple[Target, Resolved]:
    """A target and the statements it came from. Raises like `load_target`, and UsageError for a file of tables only."""
    result = analyse_target(target)
    if result.target is not None and result.resolved is not None:
        return result.target, result.resolved
    if any(found.severity == "error" for found in result.diagnostics):
        raise HwError(result.diagnostics)
    if result.deployment is not None:
        what = f"'{target}' holds the deployment '{result.deployment.name}' and no target"
        raise UsageError(what, help=f"it is for target '{result.deployment.target}'")
    raise UsageError(f"'{target}' holds operator tables and no target", help="give a file that includes it")


def names_target(word: str | Path) -> bool:
    """Whether a word means a target rather than a model: a .hw file, or a stock name where no such file is."""
    return Path(word).suffix == ".hw" or (str(word) in stock_names() and not Path(word).exists())


def find_target(target: str | PathLike[str]) -> Path:
    """The file a path or stock name stands for; a file that exists wins over a stock name."""
    path = Path(target)
    if path.is_file():
        return path
    name = str(target).removesuffix(".hw")
    if name in stock_names():
        return stock_path(name)
    if path.is_dir():
        help = "a bundle is for one target, which its manifest.json names" if (path / "manifest.json").is_file() else ""
        raise UsageError(f"'{target}' is a folder, not a .hw file", help=help)
    raise UsageError(f"there is no target '{target}': neither a .hw file nor a stock target", help=did_you_mean(name, stock_names()))


@dataclass(frozen=True, slots=True)
class TargetSummary:
    name: str
    title: str
    devices: tuple[str, ...]
    confidence: str
    """ "" where the file does not say."""
    numbers: int
    guesses: int
    """How many of its numbers are marked `@guess`."""
    calibrations: tuple[CalibrationSummary, ...]
    file: str


def target_summaries(files: Sequence[Path] = ()) -> tuple[TargetSummary, ...]:
    """One for each of the files, else for each stock target. Raises UsageError for a file that is not there, HwError for one with
    errors."""
    found = []
    for path in [find_target(file) for file in files] or [stock_path(name) for name in stock_names()]:
        target = load_target(path)
        guesses = sum(fact.provenance == "guess" for fact in target.facts)
        devices = tuple(device.name for device in target.devices)
        summary = TargetSummary(
            target.name, target.title, devices, target.confidence, len(target.facts), guesses, calibrations_of(target), str(path)
        )
        found.append(summary)
    return tuple(found)


def stock_targets() -> tuple[str, ...]:
    return tuple(stock_names())
