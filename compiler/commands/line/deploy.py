"""`autoglmc --deploy agent.hw`: a `deploy` block as the words of the options that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from .options import FILE

if TYPE_CHECKING:
    from ....targets.deployment import Deployment
    from ....targets.model import Bucket
    from ....targets.origin import Origin

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

    def checked(self) -> Words:
        """Raises MissingParameter where there is no model or no target."""
        context = click.get_current_context()
        for name, value in (("models", self.models), ("target", self.target)):
            if not value:
                raise click.MissingParameter(ctx=context, param=next(one for one in context.command.params if one.name == name))
        return self


OPTIONS = ("MODEL", "--target", "--link", "--state", "--max-length", "--given", "--cache-dtype", "--bucket", "--shape")


def deploy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--deploy", type=FILE, metavar="FILE", help=DEPLOY)(command)


def words_of(path: Path, beside: Words) -> Words:
    """beside: what options say. Raises UsageError where they say anything, where a file is missing, and for links to what the files have
    not, and as `load_deployment`."""
    from ...hw.load_deployment import load_deployment, target_of

    given = next((name for name, value in zip(OPTIONS, beside.all, strict=True) if value), None)
    if given is not None:
        raise UsageError(f"{given} and --deploy exclude each other", where=str(path), help="the file says it: change it there")
    block = load_deployment(path)
    models = {model.name: path.parent / model.path for model in block.models}
    for model in block.models:
        if not models[model.name].is_file():
            what = f"there is no file '{models[model.name]}'"
            raise UsageError(what, where=_place(path, model.origin), help="the path begins beside the deploy file")
    if len(models) > 1 and block.links:
        _check_links(path, block, models)
    elif block.links:
        raise UsageError("a link joins two models, and there is one", where=_place(path, block.links[0].origin))
    buckets = _buckets(block.shapes)
    alone = len(models) == 1 and not block.states and len(buckets) < 2
    sizes = [f"{dim}={size}" for dim, size in block.sizes]
    if alone:
        sizes += [word.partition(":")[2] for word in buckets]
    return Words(
        name=block.name,
        models=tuple(Path(f"{name}={model}") for name, model in models.items()) if len(models) > 1 else tuple(models.values()),
        target=str(target_of(block, path)),
        links=tuple(link.word for link in block.links),
        states=tuple(f"{state.past}={state.present}" for state in block.states),
        max_length=block.length,
        given=block.given,
        cache_dtype=block.cache_dtype or None,
        buckets=() if alone else tuple(buckets),
        shapes=tuple(sizes),
    )


def _buckets(shapes: tuple[Bucket, ...]) -> list[str]:
    """As --bucket has them, one for each size."""
    found = []
    for bucket in shapes:
        for k in range(max(len(sizes) for _, sizes in bucket.sizes)):
            sizes = ",".join(f"{dim}={each[k] if len(each) > 1 else each[0]}" for dim, each in bucket.sizes)
            found.append(f"{bucket.name}:{sizes}")
    return found


def _check_links(path: Path, block: Deployment, models: Mapping[str, Path]) -> None:
    from ...driver.entries.link_request import links_of
    from ...load.read_model import peek_model

    graphs = {name: peek_model(model)[0].graph for name, model in models.items()}
    for link in block.links:
        try:
            links_of([link.word], graphs)
        except UsageError as problem:
            problem.where = _place(path, link.origin)
            raise


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


def _place(path: Path, origin: Origin) -> str:
    return f"{path}:{origin.line}:{origin.column}"
