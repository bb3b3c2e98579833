"""`autoglmc --deploy agent.hw`: a `deploy` block as the words of the options that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError
from .options import FILE

DEPLOY = (
    "A .hw file whose `deploy` block says which models become one bundle, for which target, with which links, states and entries; in place "
    "of MODEL, --target, --link, --state, --max-length, --given, --cache-dtype, --bucket and --shape."
)


@dataclass(frozen=True, slots=True)
class Words:
    """What options of `autoglmc compile` say, which a deploy file says in their place."""

    models: tuple[Path, ...]
    target: str
    links: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    max_length: int | None = None
    given: tuple[str, ...] = ()
    cache_dtype: str | None = None
    buckets: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    name: str = ""
    """Of the deployment."""

    @property
    def all(self) -> tuple[Any, ...]:
        """In order, without the name."""
        return self.models, self.target, self.links, self.states, self.max_length, self.given, self.cache_dtype, self.buckets, self.shapes

    def checked(self, models: str = "models") -> Words:
        """Raises MissingParameter where there is no model or no target. models: the argument that has the models."""
        context = click.get_current_context()
        for name, value in ((models, self.models), ("target", self.target)):
            if not value:
                raise click.MissingParameter(ctx=context, param=next(one for one in context.command.params if one.name == name))
        return self


OPTIONS = ("MODEL", "--target", "--link", "--state", "--max-length", "--given", "--cache-dtype", "--bucket", "--shape")


def deploy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--deploy", type=FILE, metavar="FILE", help=DEPLOY)(command)


def words_of(path: Path, beside: Words) -> Words:
    """beside: what options say. Raises UsageError where they say anything, and as `deployed`."""
    from ...driver.entries.deployed import deployed

    given = next((name for name, value in zip(OPTIONS, beside.all, strict=True) if value), None)
    if given is not None:
        raise UsageError(f"{given} and --deploy exclude each other", where=str(path), help="the file says it: change it there")
    said = deployed(path)
    models = tuple(Path(f"{name}={model}") for name, model in said.models.items()) if len(said.models) > 1 else tuple(said.models.values())
    options = (said.target, said.links, said.states, said.max_length, said.given, said.cache_dtype, said.buckets, said.shapes)
    return Words(models, *options, name=said.name)


@contextmanager
def told_of(path: Path | None) -> Iterator[None]:
    """Errors that name options, of words that a file says, name what says them there."""
    try:
        yield
    except UsageError as problem:
        if path is not None and "--" in f"{problem.message} {problem.help}":
            said = f"in {path.name} `size`, `shapes` and `state` say what these options do"
            problem.where, problem.help = problem.where or str(path), "; ".join(filter(None, (problem.help, said)))
        raise
