"""Texts that end a generation, found across the borders of tokens; what may be the beginning of one is not shown before that is known."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError


class StopTexts:
    """Takes a text in pieces and gives it back, up to the first of the texts that end it.

    Which one is first does not depend on the pieces: the one whose last character comes first, of several the longest."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises UsageError for an empty text."""
        if not all(texts):
            raise UsageError("an empty text stops nothing", help="--stop TEXT")
        self._texts, self._held = tuple(texts), ""
        self.found = False

    def add(self, piece: str) -> str:
        """What can be shown after this piece; nothing more once one was found."""
        if self.found:
            return ""
        self._held += piece
        ends = [(begin + len(text), begin) for text in self._texts if (begin := self._held.find(text)) >= 0]
        if ends:
            self.found = True
            return self._released(min(ends)[1])
        return self._released(len(self._held) - self._begun())

    def rest(self) -> str:
        """What was held back, where no more comes and none was found."""
        return "" if self.found else self._released(len(self._held))

    def _released(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        return shown

    def _begun(self) -> int:
        """Characters at the end that may begin a text."""
        longest = max((len(text) - 1 for text in self._texts), default=0)
        held = self._held
        return next(
            (size for size in range(min(longest, len(held)), 0, -1) if any(text.startswith(held[-size:]) for text in self._texts)), 0
        )
