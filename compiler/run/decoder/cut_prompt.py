"""A prompt cut into runs of entries, so that they take the least predicted time together."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from math import inf

from ...errors import UsageError
from ...quantities import count


def cut_prompt(
    tokens: int,
    sizes: Mapping[str, int],
    seconds: Mapping[str, float],
    *,
    room: int,
    fills_up: bool,
    together: Collection[range] = (),
) -> list[tuple[str, int]]:
    """Entries in order, and how many tokens each takes.

    sizes, seconds: by entry, the tokens of a run and its predicted time. room: places left in the caches, of which a run writes as many as
    its size. fills_up: whether a run may be given fewer tokens than it takes. together: places of tokens that have to be in one run.

    The best cut of what follows is found for every place from the last one to the first, in time proportional to tokens x entries. Raises
    UsageError where there is none."""
    inside = {place for places in together for place in places[1:]}
    best, chosen = [inf] * tokens + [0.0], [("", 0)] * tokens
    windows = {size: _Window(best, size) for size in sizes.values()} if fills_up else {}
    for begin in range(tokens - 1, -1, -1):
        for window in windows.values():
            window.reach(begin + 1)
        if begin in inside:
            continue
        for entry, size in sizes.items():
            end = windows[size].least if fills_up else begin + size
            if begin + size <= room and end <= tokens and seconds[entry] + best[end] < best[begin]:
                best[begin] = seconds[entry] + best[end]
                chosen[begin] = entry, end
    if best[0] == inf:
        raise _no_cut(tokens, sizes, room, together)
    cuts, entries = [0], []
    while cuts[-1] < tokens:
        entry, end = chosen[cuts[-1]]
        entries.append(entry)
        cuts.append(end)
    return [(entry, end - begin) for entry, (begin, end) in zip(entries, pairwise(cuts), strict=True)]


class _Window:
    """The place of the least number among `size` neighbours, as they move from the last place to the first; the last of equal ones.

    A place is dropped as soon as one before it has a smaller number: numbers of the places kept rise from the first in the queue, which
    is the least, so each place enters and leaves once."""

    def __init__(self, numbers: Sequence[float], size: int) -> None:
        self._numbers, self._size = numbers, size
        self._places: deque[int] = deque()

    def reach(self, place: int) -> None:
        """The neighbours begin at `place`, one before those until now."""
        while self._places and self._numbers[self._places[-1]] > self._numbers[place]:
            self._places.pop()
        self._places.append(place)
        if self._places[0] >= place + self._size:
            self._places.popleft()

    @property
    def least(self) -> int:
        return self._places[0]


def _no_cut(tokens: int, sizes: Mapping[str, int], room: int, together: Collection[range]) -> UsageError:
    kinds = " and ".join(map(str, sorted(set(sizes.values()))))
    what = f"{count(tokens, 'token')} cannot be cut into runs of {kinds} that fit {count(room, 'place')} left in the caches"
    if together:
        most = max(map(len, together))
        what += f", with the {most} rows of an image in one run"
    return UsageError(what, help="compile with --bucket decode=1 too, a larger --bucket prefill=N, or a larger --max-length")
