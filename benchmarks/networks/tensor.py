"""The name of a tensor, with its shape beside it."""

from __future__ import annotations

from collections.abc import Sequence


class Tensor(str):
    """What a node reads or writes: its name in the graph, and its shape at the sizes that the network is made for."""

    shape: tuple[int, ...]

    def __new__(cls, name: str, shape: Sequence[int]) -> Tensor:
        made = super().__new__(cls, name)
        made.shape = tuple(int(size) for size in shape)
        return made
