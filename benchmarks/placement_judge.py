"""What a placement of a published instance takes, from the raw JSON alone: no code of the compiler is used here.

A placement says for every node id "cpu0", "cpu1" … or "fpga0" …. In latency every CPU node runs alone; an accelerator is one node that
starts when all its inputs are there and ends when all is done. It pays each tensor it reads from outside once and each of its own
that is read outside once. In throughput every device is busy once a request, for its load, and its nodes must be contiguous.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Unsound(Exception):
    """The placement breaks a rule of the instance."""


def latency(raw: Mapping[str, Any], where: Mapping[int, str]) -> float:
    """Longest path of the contracted graph. Raises Unsound."""
    check(raw, where, int(raw["maxFPGAs"]), None)
    loads = _loads(raw, where)
    block = {node: device if device.startswith("fpga") else f"node {node}" for node, device in where.items()}
    lasts = {b: loads[b] if b in loads else 0.0 for b in block.values()}
    for node in raw["nodes"]:
        if not where[node["id"]].startswith("fpga"):
            lasts[block[node["id"]]] = float(node["cpuLatency"])
    ties = {(block[e["sourceId"]], block[e["destId"]]) for e in raw["edges"]} - {(b, b) for b in lasts}
    ends = dict(lasts)
    for _ in range(len(ends) + 1):
        late = [(b, ends[a] + lasts[b]) for a, b in ties if ends[a] + lasts[b] > ends[b] + 1e-9]
        if not late:
            _no_circle(ties)
            return max(ends.values())
        for b, end in late:
            ends[b] = max(ends[b], end)
    raise Unsound("accelerators wait for each other")


def period(raw: Mapping[str, Any], where: Mapping[int, str]) -> float:
    """The largest load of a device. Raises Unsound."""
    check(raw, where, int(raw["maxFPGAs"]), int(raw["maxCPUs"]))
    _no_circle({(where[e["sourceId"]], where[e["destId"]]) for e in raw["edges"] if where[e["sourceId"]] != where[e["destId"]]})
    return max(_loads(raw, where).values())


def check(raw: Mapping[str, Any], where: Mapping[int, str], accelerators: int, cpus: int | None) -> None:
    """Devices, memory, support and colours. Raises Unsound."""
    filled: dict[str, float] = {}
    colours: dict[Any, str] = {}
    for node in raw["nodes"]:
        device = where[node["id"]]
        number = int(device[4:] if device.startswith("fpga") else device[3:])
        most = accelerators if device.startswith("fpga") else cpus
        if most is not None and number >= most:
            raise Unsound(f"there is no {device}")
        if device.startswith("fpga"):
            filled[device] = filled.get(device, 0.0) + node["size"]
            if not node["supportedOnFpga"]:
                raise Unsound(f"{node['name']} does not run on an accelerator")
        if node.get("colorClass") is not None and colours.setdefault(node["colorClass"], device) != device:
            raise Unsound(f"colour {node['colorClass']} is on two devices")
    if any(size > raw["maxSizePerFPGA"] for size in filled.values()):
        raise Unsound("an accelerator's memory is exceeded")


def _loads(raw: Mapping[str, Any], where: Mapping[int, str]) -> dict[str, float]:
    """Per device, with what an accelerator pays for tensors."""
    found = dict.fromkeys(where.values(), 0.0)
    for node in raw["nodes"]:
        device = where[node["id"]]
        found[device] += node["fpgaLatency" if device.startswith("fpga") else "cpuLatency"]
    paid = set()
    for edge in raw["edges"]:
        here, there = where[edge["sourceId"]], where[edge["destId"]]
        for device, other in ((here, there), (there, here)):
            if device != other and device.startswith("fpga") and (edge["sourceId"], device) not in paid:
                paid.add((edge["sourceId"], device))
                found[device] += edge["cost"]
    return found


def _no_circle(ties: set[tuple[str, str]]) -> None:
    """Takes away blocks that nothing leads to until none are left."""
    left = {block for tie in ties for block in tie}
    while left:
        free = left - {b for a, b in ties if a in left}
        if not free:
            raise Unsound("accelerators wait for each other")
        left -= free
