"""What a watching process tells apart: many short things are not one long one."""

from __future__ import annotations

import pytest

from autoglmc.compiler import activity
from autoglmc.compiler.activity import Line, doing
from autoglmc.compiler.board import Board


def test_what_follows_on_a_line_is_something_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a hundred measurements of a second each would be ended as one that takes more than a minute."""
    board = Board()
    monkeypatch.setattr(activity._Process, "board", board)
    beats = []
    for number in range(5):
        with doing(f"step {number}"):
            (seen,) = board.seen()
            beats.append((seen.line, seen.beat))
            assert seen.text == f"step {number}"
    line = Line("steps", ("first", "second"))
    for _ in range(5):
        line.numbers[line.at] = line.next()
        (seen,) = board.seen()
        beats.append((seen.line, seen.beat))
    line.release()
    assert len({place for place, _ in beats}) == 1 and len(set(beats)) == len(beats)
