"""Why channels stay that go into an operator."""

from __future__ import annotations

from ..graph.node import Node


def called(node: Node) -> str:
    """`Softmax 'name' needs all of them`."""
    return f"{node.kind} '{node.name or next(iter(node.writes), '')}' needs all of them"
