"""The JSON instances of Tarnawski et al., 'Efficient algorithms for device placement of DNN graph operators' (NeurIPS 2020), as placement
problems: `cpus` devices first, then the accelerators. Times are in the file's unit (milliseconds), which the solver does not mind.

An accelerator pays a tensor's cost once when it first reads it and once when the tensor leaves it; a CPU pays nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoglmc.passes.solve.problem import Net, Problem, Room, Unit


@dataclass(frozen=True)
class Instance:
    problem: Problem
    ids: tuple[int, ...]
    """The file's node of each unit."""


def instance(raw: Mapping[str, Any], cpus: int, parallel: bool) -> Instance:
    """`cpus` CPU devices; `parallel`: one that stands for as many as are needed."""
    accelerators = int(raw["maxFPGAs"])
    devices = (*(f"cpu{k}" for k in range(cpus)), *(f"fpga{k}" for k in range(accelerators)))
    ids = _depth_first(raw)
    nodes = {node["id"]: node for node in raw["nodes"]}
    number = {node: k for k, node in enumerate(ids)}
    units = tuple(
        Unit(
            str(node["name"]),
            (float(node["cpuLatency"]),) * cpus + (float(node["fpgaLatency"]) if node["supportedOnFpga"] else None,) * accelerators,
            round(node["size"]),
        )
        for node in map(nodes.__getitem__, ids)
    )
    rooms = tuple(Room(devices[cpus + k], (cpus + k,), int(raw["maxSizePerFPGA"])) for k in range(accelerators))
    colours: dict[Any, list[int]] = {}
    for node in ids:
        if nodes[node].get("colorClass") is not None:
            colours.setdefault(nodes[node]["colorClass"], []).append(number[node])
    together = tuple(tuple(sorted(members)) for members in colours.values() if len(members) > 1)
    limits = tuple(1 if k >= cpus or not parallel else None for k in range(len(devices)))
    nets = tuple(_net(number[node], cost, readers, number, cpus, accelerators) for node, (cost, readers) in _tensors(raw).items())
    nothing = (0.0,) * len(devices)
    problem = Problem(devices, 0, nothing, units, nets, rooms, limits, together=together, parallel=(0,) if parallel else ())
    return Instance(problem, tuple(ids))


def _tensors(raw: Mapping[str, Any]) -> dict[int, tuple[float, list[int]]]:
    """Per node that is read: its tensor's cost and its readers."""
    found: dict[int, tuple[float, list[int]]] = {}
    for edge in raw["edges"]:
        cost, readers = found.get(edge["sourceId"], (0.0, []))
        found[edge["sourceId"]] = (max(cost, float(edge["cost"])), [*readers, edge["destId"]])
    return found


def _net(producer: int, cost: float, readers: Sequence[int], number: Mapping[int, int], cpus: int, accelerators: int) -> Net:
    kinds = (False,) * cpus + (True,) * accelerators
    into = tuple(tuple(cost if there and a != b else 0.0 for b, there in enumerate(kinds)) for a in range(len(kinds)))
    consumers = tuple(sorted({number[reader] for reader in readers}))
    return Net(f"t{producer}", producer, consumers, False, into, tuple(cost if kind else 0.0 for kind in kinds))


def _depth_first(raw: Mapping[str, Any]) -> list[int]:
    """A topological order in which branches stay whole."""
    after: dict[int, list[int]] = {node["id"]: [] for node in raw["nodes"]}
    for edge in raw["edges"]:
        after[edge["sourceId"]].append(edge["destId"])
    order: list[int] = []
    state = dict.fromkeys(after, 0)
    for root in after:
        stack = [root]
        while stack:
            node = stack[-1]
            if state[node] == 0:
                state[node] = 1
                stack.extend(reader for reader in after[node] if state[reader] == 0)
            else:
                stack.pop()
                if state[node] == 1:
                    state[node] = 2
                    order.append(node)
    return order[::-1]
