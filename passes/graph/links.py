"""Which node writes a tensor, and which read it."""

from __future__ import annotations

from collections.abc import Mapping

from .node import Node


class Links:
    """Kept up to date by whoever edits nodes: `remove` or `drop_reads` before the names of a node change, `add` or `add_reads` after."""

    def __init__(self) -> None:
        self._producer: dict[str, Node] = {}
        self._readers: dict[str, dict[int, Node]] = {}

    def copy(self, twins: Mapping[int, Node]) -> Links:
        """The same links between other nodes, given by the `id` of those of this one."""
        links = Links()
        links._producer = {name: twins[id(node)] for name, node in self._producer.items()}
        links._readers = {name: {id(twins[key]): twins[key] for key in readers} for name, readers in self._readers.items()}
        return links

    def producer(self, tensor: str) -> Node | None:
        return self._producer.get(tensor)

    def readers(self, tensor: str) -> list[Node]:
        """In the order they were added."""
        return list(self._readers.get(tensor, {}).values())

    def count(self, tensor: str) -> int:
        """How many nodes read it."""
        return len(self._readers.get(tensor, {}))

    def add(self, node: Node) -> None:
        for name in node.writes:
            self._producer[name] = node
        self.add_reads(node)

    def remove(self, node: Node) -> None:
        self.drop_reads(node)
        for name in node.writes:
            if self._producer.get(name) is node:
                del self._producer[name]

    def add_reads(self, node: Node) -> None:
        for name in node.reads:
            self._readers.setdefault(name, {})[id(node)] = node

    def drop_reads(self, node: Node) -> None:
        for name in node.reads:
            self._readers.get(name, {}).pop(id(node), None)

    def change_read(self, node: Node, old: str, new: str) -> None:
        """One input of the node was `old` and is `new`: the others, of which there may be thousands, are not looked up again."""
        if old not in node.inputs and old not in node.captures:
            self._readers.get(old, {}).pop(id(node), None)
        if new:
            self._readers.setdefault(new, {})[id(node)] = node

    def rename(self, tensor: str, name: str) -> None:
        """The producer of `tensor` writes `name` instead."""
        self._producer[name] = self._producer.pop(tensor)
