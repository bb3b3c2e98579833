"""Token after token, without a model: what a feed is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoglmc.compiler.run.decoder.sampling import Sampling
from autoglmc.compiler.run.decoder.tokens import Tokens


class Counting:
    """Four tokens in a run; knows what it was asked to cut."""

    vocabulary = 8

    def __init__(self) -> None:
        self.length, self.changes, self.room, self.cut = 0, 0, 20, list[tuple[int, int]]()

    def runs(self, tokens: int) -> Sequence[tuple[str, int]]:
        self.cut.append((tokens, self.room))
        return [("prefill", min(4, tokens - at)) for at in range(0, tokens, 4)]

    def run(self, entry: str, ids: Sequence[int]) -> np.ndarray:
        self.length, self.changes, self.room = self.length + len(ids), self.changes + 1, self.room - len(ids)
        return np.arange(8.0)

    def restore(self, length: int) -> None:
        raise AssertionError("nothing failed")


def test_a_prompt_is_cut_once_and_again_where_the_room_is_another() -> None:
    feed = Counting()
    made = Tokens(feed).begin([1] * 10, 2, (), Sampling())
    assert list(made) == [7, 7] and feed.cut == [(10, 20), (1, 10)] and feed.length == 11
    feed = Counting()
    made = Tokens(feed).begin([1] * 10, 1, (), Sampling())
    feed.run("prefill", [1, 1])  # between the check and the first token
    assert list(made) == [7] and feed.cut == [(10, 20), (10, 18)]
