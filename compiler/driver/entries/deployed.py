"""A `deploy` block as the words of the options that say the same, with paths that begin beside its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ....targets.deployment import Deployment
from ....targets.model import Bucket
from ....targets.origin import Origin
from ...errors import UsageError
from ...hw.load_deployment import load_deployment, target_of
from ...load.read_model import peek_model
from .link_request import links_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What --link, --state, --max-length, --given, --cache-dtype, --bucket and --shape would say."""

    name: str
    """Of the deployment."""
    models: Mapping[str, Path]
    target: str
    links: tuple[str, ...]
    states: tuple[str, ...]
    max_length: int | None
    given: tuple[str, ...]
    cache_dtype: str | None
    buckets: tuple[str, ...]
    shapes: tuple[str, ...]


def deployed(path: Path) -> Deployed:
    """Raises UsageError where a file is missing and for links to what the files have not, and as `load_deployment`."""
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
    return Deployed(
        name=block.name,
        models=models,
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
    graphs = {name: peek_model(model)[0].graph for name, model in models.items()}
    for link in block.links:
        try:
            links_of([link.word], graphs)
        except UsageError as problem:
            problem.where = _place(path, link.origin)
            raise


def _place(path: Path, origin: Origin) -> str:
    return f"{path}:{origin.line}:{origin.column}"
