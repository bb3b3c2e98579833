"""Packages that only some commands need: imported when they are, and named with how to get them where they are not here."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UserError

EXTRAS = {"pyarrow": "sweep", "matplotlib": "sweep", "distributed": "cluster", "tokenizers": "text", "PIL": "image"}
"""By package, the extra of autoglmc that brings it."""


class MissingExtra(UserError):
    """A package is not installed."""

    kind = "missing-package"


def need(module: str, option: str) -> Any:
    """The module. Raises MissingExtra where its package is not installed, or does not load."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        found = isinstance(problem, ModuleNotFoundError) and problem.name == package
        what = f"{option} needs {package}, which is not installed" if found else f"{option} needs {package}, which does not load: {problem}"
        raise MissingExtra(what, help=f"pip install 'autoglmc[{EXTRAS[package]}]'") from None
