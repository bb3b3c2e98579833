"""A `deploy` block of a .hw file: models, and how they become one bundle for a target."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Bucket
from .origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedModel:
    """An ONNX file of a deployment."""

    name: str
    path: str
    """As written: beside the file that says it, unless it begins with /."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedLink:
    """An output of one model that is an input of another one."""

    model: str
    output: str
    to: str
    input: str
    rows: str
    """What the rows are called whose first one every step states; "" where they begin at the first row."""
    origin: Origin

    @property
    def word(self) -> str:
        """As --link has it."""
        return f"{self.model}.{self.output}={self.to}.{self.input}{f'@{self.rows}' if self.rows else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedState:
    """Inputs that stay from run to run, and the outputs that take their place; `*` is the same in both."""

    past: str
    present: str
    length: int | None
    """Tokens that they hold at most; None for states that every run replaces."""
    dtype: str
    """That they are kept in, "fp16"; "" for the model's."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What `autoglmc --deploy FILE` compiles."""

    name: str
    target: str
    """A stock name, or the path of a .hw file beside this one."""
    origin: Origin
    """Of the target."""
    models: tuple[DeployedModel, ...]
    links: tuple[DeployedLink, ...]
    states: tuple[DeployedState, ...]
    given: tuple[str, ...]
    """Inputs that whoever steps gives, although they follow from the number of tokens."""
    shapes: tuple[Bucket, ...]
    """An entry for each size of each bucket."""
    sizes: tuple[tuple[str, int], ...]
    """Of dims, in every model that has one of that name."""

    @property
    def length(self) -> int | None:
        """Tokens that the states hold at most; all say the same (grammar/lower/deploy.py)."""
        return self.states[0].length if self.states else None

    @property
    def cache_dtype(self) -> str:
        """That the states are kept in, "" for the model's; all say the same."""
        return self.states[0].dtype if self.states else ""
