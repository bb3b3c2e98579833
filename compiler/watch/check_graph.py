"""Is the graph that passes edit still one? Its own invariants, then onnx's checker with strict shape inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...passes.graph.graph import Graph
from ..errors import first_line
from ..load.hide_weights import hide_weights, restore_weights

if TYPE_CHECKING:
    import onnx


def broken_invariants(graph: Graph) -> list[str]:
    """One sentence for everything that does not hold: order, single writers, what is read exists, and the index of users is right."""
    known = set(graph.inputs) | set(graph.constants)
    written: set[str] = set()
    found = []
    users: dict[str, set[int]] = {}
    for node in graph.nodes:
        for name in node.reads:
            users.setdefault(name, set()).add(id(node))
            if name not in known and name not in written:
                found.append(f"{node.kind} {node.name!r} reads {name!r}, which nothing before it writes")
        for name in node.writes:
            if name in written or name in known:
                found.append(f"{name!r} is written twice, the second time by {node.kind} {node.name!r}")
            if graph.producer(name) is not node:
                found.append(f"the graph takes another node than {node.kind} {node.name!r} for the writer of {name!r}")
        written.update(node.writes)
    found += [f"the graph's output {name!r} is written by nothing" for name in graph.outputs if name not in known and name not in written]
    wrong = [name for name in known | written if {id(user) for user in graph.users(name)} != users.get(name, set())]
    return found + [f"the graph does not know who reads {name!r}" for name in sorted(wrong)]


def refused_by_checker(model: onnx.ModelProto, *, strict: bool) -> str:
    """What onnx's checker says against it, "" if nothing. strict: shapes and dtypes inferred anew must be those that are declared."""
    import onnx

    hidden = hide_weights(model)
    try:
        onnx.checker.check_model(model, full_check=strict)
    except Exception as problem:  # the checker's and shape inference's errors share no base class
        return f"onnx.checker: {first_line(problem)}"
    finally:
        restore_weights(model, hidden)
    return ""
