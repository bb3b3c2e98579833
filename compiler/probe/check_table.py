"""`autoglmc check TARGET --probe`: the operator tables of a target's devices against their runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...targets.dtypes import FLOATS
from ...targets.model import Device, Target
from ...targets.operators import key_of
from ...targets.origin import Origin
from ...targets.support import No, device_dtypes, supports
from ..devices.adapter import Absent
from .case import Case
from .choose import ProbedCase, probe_cases, sample
from .quantised_cases import quantised_cases
from .runtime_words import ProbedRuntime, RuntimeAbsent, find_runtime

QUANTISED = ("int8", "int16")
"""Dtypes of activations in which a device of integers is probed, those that its table lists."""
ONE_STEP = 1
"""By which an integer result may be off: kernels of integers round once where the model rounds, but not in the same way."""
REFERENCE = frozenset({"ort"})
"""Runtimes that others are compared with: probing onnxruntime would compare it with itself."""

FindingKind = Literal["agrees", "too much", "too little"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`too much`: the table says yes and the runtime refuses or is wrong; `too little`: the table says no and the runtime is right."""

    kind: FindingKind
    operator: str
    case: str
    reason: str
    """Against it: the runtime's words where the table claims too much, the table's where it claims too little."""
    origin: Origin | None
    """The line of the .hw file that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDevice:
    """What probing found about the table of one device."""

    device: str
    runtime: str
    cases: int
    too_much: tuple[Finding, ...]
    too_little: tuple[Finding, ...]


def check_tables(
    target: Target, operators: frozenset[str], named: bool, each: int, seconds: float, tell: Callable[[str], None]
) -> tuple[CheckedDevice, ...]:
    """The tables of every device whose runtime can be probed here; `tell` is given the others. `named`: the user named the operators;
    without, only those of the device's own table are probed. `each`: most cases per operator; `seconds`: per device.

    Raises RuntimeAbsent if no device can be probed, with what to install."""
    found = [(d, find_runtime((d.runtime.adapter, *d.runtime.words))) for d in target.devices if d.runtime.adapter not in REFERENCE]
    able = [(device, runtime) for device, runtime in found if isinstance(runtime, ProbedRuntime)]
    absent = {device.name: why for device, why in found if isinstance(why, Absent)}
    for name, why in absent.items():
        tell(f"{name}: {why.reason}")
    if not able:
        help_text = next((why.help for why in absent.values() if why.help), "")
        reasons = "; ".join(f"{name}: {why.reason}" for name, why in absent.items()) or "none has an adapter"
        raise RuntimeAbsent(f"no runtime of {target.name} can be probed here ({reasons})", help=help_text)
    return tuple(
        _check(device, runtime, target, operators if named else operators & _listed(device), each, seconds, tell)
        for device, runtime in able
    )


def _check(
    device: Device,
    runtime: ProbedRuntime,
    target: Target,
    operators: frozenset[str],
    each: int,
    seconds: float,
    tell: Callable[[str], None],
) -> CheckedDevice:
    def tell_device(line: str) -> None:
        tell(f"{device.name}: {line}")

    cases, steps = _cases(device, operators, each), ONE_STEP if _in_integers(device) else 0
    probed = probe_cases(runtime.adapter, runtime.words, cases, seconds=seconds, tell=tell_device, steps=steps)
    return _checked(device.name, runtime.spelled, tuple(compare_with_table(device, target, probed)))


def _cases(device: Device, operators: frozenset[str], each: int) -> list[Case]:
    """Single operators; for a device that computes in integers alone, each between DequantizeLinear and QuantizeLinear."""
    cases, dtypes = sample(operators, each), device_dtypes(device)
    if not _in_integers(device):
        return cases
    return [made for case in cases for dtype in QUANTISED if dtype in dtypes for made in quantised_cases(case, dtype)]


def _in_integers(device: Device) -> bool:
    return FLOATS.isdisjoint(device_dtypes(device))


def compare_with_table(device: Device, target: Target, answers: Iterable[ProbedCase]) -> Iterable[Finding]:
    """One finding per answer."""
    for answer in answers:
        claim = supports(device, answer.case.view, target.precision)
        kind: FindingKind = "agrees"
        if isinstance(claim, No):
            reason, origin = claim.reason, claim.origin
            kind = "agrees" if answer.fault else "too little"
        else:
            reason, origin = answer.fault, claim.rule.origin if claim.rule is not None else device.origin
            kind = "too much" if answer.fault else "agrees"
        yield Finding(kind=kind, operator=answer.case.operator, case=answer.case.name, reason=reason, origin=origin)


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
    """The findings as plain data; `passed` if no table claims too much."""
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
