"""Why a graph with a growing cache cannot be written with one of a fixed length."""

from __future__ import annotations


class NotFixable(Exception):
    """`message` says what stands in the way, `where` at which node or tensor."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(f"{message}: {where}")
        self.message, self.where = message, where
