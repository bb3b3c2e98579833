"""Cells: one for each index of an axis, joined where indices of several axes can only be removed together."""

from __future__ import annotations

import numpy as np

Axis = np.ndarray | None
"""The cell of each index of an axis; None where its extent is not known."""
Axes = tuple[Axis, ...]


class Cells:
    """Union-find over cells, on arrays of them. A set that something fixes cannot be removed, and knows why."""

    def __init__(self) -> None:
        self._parent = np.zeros(1024, np.int64)
        self._fixed = np.zeros(1024, bool)
        self._size = 0
        self._why: dict[int, str] = {}
        self._still: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return self._size

    def fresh(self, number: int) -> np.ndarray:
        """That many new cells, each a set of its own."""
        while self._size + number > len(self._parent):
            self._parent = np.concatenate([self._parent, np.zeros_like(self._parent)])
            self._fixed = np.concatenate([self._fixed, np.zeros_like(self._fixed)])
        made = np.arange(self._size, self._size + number)
        self._parent[made] = made
        self._size += number
        return made

    def still(self, number: int, why: str) -> np.ndarray:
        """An axis of which nothing can be removed."""
        if why not in self._still:
            self._still[why] = int(self.fresh(1)[0])
            self._fixed[self._still[why]], self._why[self._still[why]] = True, why
        return np.full(number, self._still[why])

    def roots(self, cells: np.ndarray) -> np.ndarray:
        """The set that each is in."""
        found = self._parent[cells]
        while not np.array_equal(above := self._parent[found], found):
            found = above
        self._parent[cells] = found
        return np.asarray(found)

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Cells at the same place of the two are removed together."""
        mine, others = self.roots(one), self.roots(other)
        apart = mine != others
        for a, b in zip(mine[apart].tolist(), others[apart].tolist(), strict=True):
            self._join(a, b)

    def tie(self, rows: np.ndarray) -> np.ndarray:
        """Cells of one column are removed together; the first row stands for all."""
        for row in rows[1:]:
            self.join(rows[0], row)
        return np.asarray(rows[0])

    def fix(self, cells: np.ndarray, why: str) -> None:
        """They stay."""
        free = cells[self.free(cells)]
        if len(free):
            self.join(free, self.still(len(free), why))

    def free(self, cells: np.ndarray) -> np.ndarray:
        """Whether each can be removed."""
        return np.asarray(~self._fixed[self.roots(cells)])

    def why(self, cell: int) -> str:
        """What fixes it; "" where nothing does."""
        return self._why.get(int(self.roots(np.array([cell]))[0]), "")

    def _join(self, a: int, b: int) -> None:
        a, b = self._root(a), self._root(b)
        low, high = min(a, b), max(a, b)
        if low == high:
            return
        self._parent[high] = low
        if self._fixed[high] and not self._fixed[low]:
            self._fixed[low], self._why[low] = True, self._why.get(high, "")

    def _root(self, cell: int) -> int:
        while (above := int(self._parent[cell])) != cell:
            self._parent[cell] = self._parent[above]
            cell = above
        return cell
