"""`script.py:function`: a function of the user's own Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UsageError, UserError, did_you_mean, first_line


def import_script(file: Path, spelling: str) -> ModuleType:
    """The module of a file, with its folder on sys.path while it is imported. spelling: of the option, as help.

    Raises UsageError where there is no such file, UserError where it does not import."""
    if not file.is_file():
        raise UsageError(f"no such file: {file}", help=spelling)
    name = f"autoglmc_passes_of_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file", help=spelling)
    module = importlib.util.module_from_spec(spec)
    try:
        with _registered(name, module, file.resolve().parent), redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:  # whatever the file raises is its own
        told = f"{type(problem).__name__}: {first_line(problem)}" if isinstance(problem, Exception) else "it exits when it is imported"
        raise UserError(f"{file.name} cannot be imported: {told}", where=_place(problem, file)) from problem
    return module


def function_of(module: ModuleType, file: Path, name: str, spelling: str) -> Any:
    """Raises UsageError where the module has no function of that name."""
    found = getattr(module, name, None)
    if callable(found):
        return found
    if found is not None:
        raise UsageError(f"'{name}' in {file} is not a function ({type(found).__name__})", help=spelling)
    own = [key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module.__name__]
    raise UsageError(f"there is no function '{name}' in {file}", help=did_you_mean(name, own))


def place_of(problem: BaseException, file: str) -> str:
    """file:line of the last frame of the user's file; "" where it has none."""
    full = str(Path(file).resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename in (file, full)]
    return f"{file}:{lines[-1]}" if lines else ""


def _place(problem: BaseException, file: Path) -> str:
    """Where in the file it went wrong."""
    if isinstance(problem, SyntaxError) and problem.filename == str(file):
        return f"{file}:{problem.lineno}"
    return place_of(problem, str(file)) or str(file)


@contextmanager
def _registered(name: str, module: ModuleType, folder: Path) -> Iterator[None]:
    """In sys.modules, as dataclasses and pickle expect, and with the modules beside the file in reach."""
    sys.modules[name] = module
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
