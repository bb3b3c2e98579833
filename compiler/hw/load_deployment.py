"""The `deploy` block of a .hw file, checked."""

from __future__ import annotations

from pathlib import Path

from ...grammar import HwError, analyse_file
from ...grammar.rule_facts import rule_facts
from ...targets.deployment import Deployment
from ..errors import UsageError


def load_deployment(path: Path) -> Deployment:
    """Raises UsageError where there is no such file or block, HwError with every mistake of the file."""
    if not path.is_file():
        raise UsageError(f"there is no deploy file '{path}'", help="give a .hw file with a block `deploy name { … }`")
    result = analyse_file(path, rule_facts())
    if any(found.severity == "error" for found in result.diagnostics):
        raise HwError(result.diagnostics)
    if result.deployment is None:
        raise UsageError(f"'{path}' has no block `deploy name {{ … }}`", help="a target by itself is for --target")
    return result.deployment


def target_of(deployment: Deployment, path: Path) -> str | Path:
    """The target of a deployment in the file `path`: a .hw file beside that, else a stock name."""
    beside = path.parent / deployment.target
    return beside if beside.is_file() else deployment.target
