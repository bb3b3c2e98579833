"""What Python callers say of a bundle: one model, its entries, several models that are joined; or the file of a `deploy` block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ...targets.model import Target
from ..driver.entries.asked_entries import NAME
from ..driver.entries.deployed import deployed
from ..errors import UsageError
from ..hw.load_target import load_target
from ..load.bind_shapes import parse_shapes
from ..state.request import LONGEST, StateRequest, state_request
from .arguments import names_of, sizes_of, target_of

if TYPE_CHECKING:
    from ..load.bind_shapes import Shapes
    from ..load.source import Model

Buckets: TypeAlias = "str | Iterable[str] | Mapping[str, int | Mapping[str, int]]"
"""Entries: tokens that a run takes, or sizes of dims, by name; or the words of --bucket."""
ANY_FORM = 'for example buckets={"prefill": 128, "decode": 1}, or {"short": {"seq": 8}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be compiled or explained."""

    models: Mapping[str, Model]
    """By name; of a single one the name is ""."""
    target: Target
    state: StateRequest | None
    buckets: tuple[str, ...]
    """As --bucket has them."""
    links: tuple[str, ...]
    shapes: Shapes
    name: str = ""
    """Of a deployment."""

    @property
    def words(self) -> dict[str, Any]:
        """What `compile_asked` and `explain_asked` take beside models and target."""
        return {"links": self.links, "buckets": self.buckets, "state": self.state, "shapes": self.shapes}


def asked_of(
    model: Model | Mapping[str, Model] | None,
    target: str | os.PathLike[str] | Target | None,
    shapes: Mapping[str, Any] | None,
    state: StateRequest | None,
    buckets: Buckets,
    links: str | Iterable[str],
    deploy: str | os.PathLike[str] | None,
) -> Asked:
    """Raises UsageError for arguments that are missing, contradict each other or cannot be read, and as `deployed`, `load_target`."""
    words, joined = _words(buckets), _strings(links, "links", 'for example links=["embed.rows=decoder.inputs_embeds"]')
    if deploy is not None and not isinstance(deploy, (str, os.PathLike)):
        raise UsageError(f"deploy is the path of a .hw file, not {deploy!r}")
    if deploy is not None:
        beside = {"model": model, "target": target, "shapes": shapes, "states": state, "buckets": words, "links": joined}
        odd = next((name for name, value in beside.items() if value), None)
        if odd is not None:
            raise UsageError(f"{odd} and deploy exclude each other", where=os.fspath(deploy), help="the file says it: change it there")
        return _deployed(Path(deploy))
    if model is None or target is None:
        what = "model" if model is None else "target"
        raise UsageError(f"no {what} is given", help="give a model and a target, or deploy=FILE with a `deploy` block")
    models: Mapping[str, Model] = model if isinstance(model, Mapping) else {"": model}
    if isinstance(model, Mapping):
        wrong = next((name for name in models if not isinstance(name, str) or not NAME.fullmatch(name)), None)
        if wrong is not None or not models:
            raise UsageError(f"{wrong!r} cannot name a model" if models else "no model is given", help='{"vision": "vision.onnx", …}')
    given = target_of(target)
    machine = given if isinstance(given, Target) else load_target(given)
    return Asked(models=models, target=machine, state=state, buckets=words, links=joined, shapes=sizes_of(shapes))


def _deployed(path: Path) -> Asked:
    said = deployed(path)
    return Asked(
        models=said.models if len(said.models) > 1 else {"": next(iter(said.models.values()))},
        target=load_target(said.target),
        state=state_request(said.states, said.max_length, said.given, said.cache_dtype or ""),
        buckets=said.buckets,
        links=said.links,
        shapes=parse_shapes(said.shapes),
        name=said.name,
    )


def state_of(
    states: str | Iterable[str] | Mapping[str, str], max_length: int | None, given: str | Iterable[str], cache_dtype: str | None
) -> StateRequest | None:
    """What is said of caches, or of states; None where nothing is. Raises UsageError."""
    if cache_dtype not in (None, "fp16"):
        raise UsageError(f"cache_dtype is 'fp16' or None, not {cache_dtype!r}")
    if max_length is not None and (not isinstance(max_length, int) or not 2 <= max_length <= LONGEST):
        raise UsageError(f"max_length is a whole number of tokens from 2 to {LONGEST:,}, not {max_length!r}")
    pairs = [f"{past}={present}" for past, present in states.items()] if isinstance(states, Mapping) else states
    words = _strings(pairs, "states", 'for example states="past.*=present.*"')
    return state_request(words, max_length, _strings(given, "given", "names of inputs"), cache_dtype or "")


def _strings(words: Any, name: str, help: str) -> tuple[str, ...]:
    found = names_of(words) if isinstance(words, Iterable) else ()
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in found):
        raise UsageError(f"{name} are texts, not {words!r}", help=help)
    return found


def _words(buckets: Buckets) -> tuple[str, ...]:
    if not isinstance(buckets, Mapping):
        return _strings(buckets, "buckets", ANY_FORM)
    return tuple(_word(name, size) for name, size in buckets.items())


def _word(name: str, size: Any) -> str:
    if isinstance(size, int) and not isinstance(size, bool):
        return f"{name}={size}"
    sizes = sizes_of(size) if isinstance(size, Mapping) else {}
    if not sizes or not isinstance(name, str) or not all(isinstance(one, int) for one in sizes.values()):
        raise UsageError(f"buckets[{name!r}] is {size!r}", help=ANY_FORM)
    return f"{name}:{','.join(f'{dim}={one}' for dim, one in sizes.items())}"
