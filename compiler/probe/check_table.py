"""`autoglmc check TARGET --probe`: the operator tables of a target's devices against their runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...targets.model import Device, Target
from ...targets.operators import key_of
from ..devices.find_adapter import adapter_for
from .against_table import Finding, against
from .ask import ask
from .choose import sample
from .runtime_words import RuntimeAbsent, runtime_of

REFERENCE = frozenset({"ort"})
"""Runtimes that others are compared with; asking them is asking onnxruntime whether it agrees with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDevice:
    device: str
    runtime: str
    cases: int
    too_much: tuple[Finding, ...]
    too_little: tuple[Finding, ...]


def check_tables(
    target: Target, operators: frozenset[str], named: bool, each: int, seconds: float, tell: Callable[[str], None]
) -> tuple[CheckedDevice, ...]:
    """Every device whose runtime can be asked here; the others are told. `named`: the user named the operators; without, those of the
    device's own table are asked about.

    Raises RuntimeAbsent if no device can be asked, with what to install."""
    able, absent = [], []
    for device in target.devices:
        if adapter_for(device.runtime.adapter, device.runtime.words) is None or device.runtime.adapter in REFERENCE:
            continue
        try:
            able.append((device, runtime_of((device.runtime.adapter, *device.runtime.words))))
        except RuntimeAbsent as problem:
            absent.append((device.name, problem))
    for name, why in absent:
        tell(f"{name}: {why.message}")
    if not able:
        help_text = next((why.help for _, why in absent if why.help), "")
        reasons = "; ".join(f"{name}: {why.message}" for name, why in absent) or "it has none that can be asked"
        raise RuntimeAbsent(f"no runtime of {target.name} can be asked here ({reasons})", help=help_text)
    found = []
    for device, asked in able:
        cases = sample(operators if named else operators & _listed(device), each)
        answers = ask(asked.adapter, asked.words, cases, seconds=seconds, tell=lambda line, name=device.name: tell(f"{name}: {line}"))  # type: ignore[misc]
        found.append(_checked(device.name, asked.spelled, tuple(against(device, target, answers))))
    return tuple(found)


def report_lines(checked: Iterable[CheckedDevice]) -> list[str]:
    """What was found, too much before too little, each line of the table once with its first case."""
    lines = []
    for device in checked:
        for word, findings in (("too much", device.too_much), ("too little", device.too_little)):
            lines += [f"{device.device}: {word}: {line}" for line in _grouped(findings)]
        wrong, less = len(device.too_much), len(device.too_little)
        verdict = "pass" if not wrong else "fail"
        lines.append(
            f"{verdict:<8}{device.device}: of {device.cases} cases the table claims {wrong} too many and {less} too few ({device.runtime})"
        )
    return lines


def report_json(checked: Iterable[CheckedDevice]) -> dict[str, Any]:
    devices = [
        {
            "device": one.device,
            "runtime": one.runtime,
            "cases": one.cases,
            "too_much": [_record(finding) for finding in one.too_much],
            "too_little": [_record(finding) for finding in one.too_little],
        }
        for one in checked
    ]
    return {"passed": all(not one["too_much"] for one in devices), "devices": devices}


def _listed(device: Device) -> frozenset[str]:
    return frozenset(key_of(rule.domain, rule.operator) for block in device.supports for rule in block.rules)


def _checked(device: str, runtime: str, findings: Sequence[Finding]) -> CheckedDevice:
    much = tuple(one for one in findings if one.kind == "too much")
    little = tuple(one for one in findings if one.kind == "too little")
    return CheckedDevice(device=device, runtime=runtime, cases=len(findings), too_much=much, too_little=little)


def _grouped(findings: Sequence[Finding]) -> list[str]:
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.operator, str(one.origin), one.reason), []).append(one)
    lines = []
    for (operator, origin, reason), members in groups.items():
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        lines.append(f"{operator} ({origin}): {members[0].case}{more}: {reason}")
    return lines


def _record(finding: Finding) -> dict[str, Any]:
    return {
        "operator": finding.operator,
        "case": finding.case,
        "reason": finding.reason,
        "origin": str(finding.origin) if finding.origin else "",
    }
