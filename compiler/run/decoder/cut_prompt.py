"""A prompt cut into runs of entries, so that they take the least predicted time together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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

    The best cut of what follows is found for every place from the last one to the first. Raises UsageError where there is none."""
    inside = {place for places in together for place in places[1:]}
    best, chosen = [inf] * tokens + [0.0], [("", 0)] * tokens
    for begin in range(tokens - 1, -1, -1):
        if begin in inside:
            continue
        for entry, size in sizes.items():
            end = min(begin + size, tokens)
            if begin + size > room or not (fills_up or end == begin + size):
                continue
            rests = best[begin + 1 if fills_up else end : end + 1]
            least = min(rests)
            if seconds[entry] + least < best[begin]:
                best[begin] = seconds[entry] + least
                chosen[begin] = entry, end - rests[::-1].index(least)
    if best[0] == inf:
        raise _no_cut(tokens, sizes, room, together)
    cuts, entries = [0], []
    while cuts[-1] < tokens:
        entry, end = chosen[cuts[-1]]
        entries.append(entry)
        cuts.append(end)
    return [(entry, end - begin) for entry, (begin, end) in zip(entries, pairwise(cuts), strict=True)]


def _no_cut(tokens: int, sizes: Mapping[str, int], room: int, together: Collection[range]) -> UsageError:
    kinds = " and ".join(map(str, sorted(set(sizes.values()))))
    what = f"{count(tokens, 'token')} cannot be cut into runs of {kinds} that fit {count(room, 'place')} left in the caches"
    if together:
        most = max(map(len, together))
        what += f", with the {most} rows of an image in one run"
    return UsageError(what, help="compile with --bucket decode=1 too, a larger --bucket prefill=N, or a larger --max-length")
