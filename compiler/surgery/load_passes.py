"""`--pass surgery.py:function@point`: from the words of the command line to passes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UsageError, UserError, did_you_mean, first_line
from .call_pass import place_of
from .user_pass import DEFAULT_POINT, POINTS, UserPass, check_point

SPELLING = "--pass FILE.py:FUNCTION, or --pass FILE.py:FUNCTION@POINT"


def load_passes(words: Sequence[str]) -> tuple[UserPass, ...]:
    """A pass for each word, in order; a file is imported once, with its folder on sys.path meanwhile.

    Raises UsageError for a wrong word, file, function, point or contract, UserError where the file does not import."""
    parsed = [_parse(word) for word in words]
    modules = {file: _import(file) for file in dict.fromkeys(file for file, _, _ in parsed)}
    return tuple(UserPass(_function(modules[file], file, name), point) for file, name, point in parsed)


def _parse(word: str) -> tuple[Path, str, str]:
    """File, function, point."""
    file, colon, rest = word.rpartition(":")
    name, at, point = rest.partition("@")
    if not colon or not file or not name.isidentifier():
        raise UsageError(f"--pass {word}: this names no function of a file", help=SPELLING)
    if at and not point:
        raise UsageError(f"--pass {word}: there is no point behind the @", help=f"the points: {', '.join(POINTS)}")
    check_point(point or DEFAULT_POINT)
    return Path(file), name, point or DEFAULT_POINT


def _import(file: Path) -> ModuleType:
    if not file.is_file():
        raise UsageError(f"no such file: {file}", help=SPELLING)
    name = f"autoglmc_passes_of_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file", help=SPELLING)
    module = importlib.util.module_from_spec(spec)
    try:
        with _registered(name, module, file.resolve().parent), redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:  # whatever the file raises is its own
        told = f"{type(problem).__name__}: {first_line(problem)}" if isinstance(problem, Exception) else "it exits when it is imported"
        raise UserError(f"{file.name} cannot be imported: {told}", where=_place(problem, file)) from problem
    return module


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


def _function(module: ModuleType, file: Path, name: str) -> Any:
    found = getattr(module, name, None)
    if callable(found):
        return found
    if found is not None:
        raise UsageError(f"'{name}' in {file} is not a function ({type(found).__name__})", help=SPELLING)
    own = [key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module.__name__]
    raise UsageError(f"there is no function '{name}' in {file}", help=did_you_mean(name, own))
