"""The summaries a person reads: one screen for a compilation, a run, a verification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ..driver.result import CompileResult
from ..plan.limits import amount
from .gantt import gantt
from .layout import console, count, row, say, short, size, table, time
from .printable import printable

if TYPE_CHECKING:
    from ..run.result import Pipelined, RunResult
    from ..verify.compare import TensorDifference
    from ..verify.report import VerifyReport
    from ..watch.verify_each import Checked

MOST_ROWS = 10
"""Tensors that a table shows; the rest is counted."""
MOST_GUESSES = 6


def print_compiled(result: CompileResult) -> None:
    """The summary of a compilation."""
    screen, facts = console(), result.as_json()
    target, after = result.manifest.target.name, sum(facts["operators"]["recovered"].values())
    operators = f"{count(facts['operators']['before'], 'operator')} as loaded, {after} once recovered and simplified"
    head = Text(printable(str(result.folder)), style="bold").append(f" for {target}: {operators}", style="not bold")
    say(screen, "bundle", [head])
    _print_devices(screen, facts["devices"])
    say(screen, "handoffs", [_handoff(row) for row in facts["handoffs"]] or ["none: one device holds everything"])
    say(screen, "latency", _latency(facts["latency"], result))
    arena = facts["arena"]
    say(screen, "arena", [f"{size(arena['bytes'])}, lower bound {size(arena['lower_bound'])}{_over(arena)}"])
    _print_limits(screen, facts["limits"])
    say(screen, "rewrites", list(_rewrites(facts["rewrites"])) or ["none"])
    say(screen, "guesses", _guesses(facts["guesses"]))
    if facts["notes"]:
        say(screen, "note", facts["notes"])
    if result.checked:
        say(screen, "each pass", [_checked(result.checked)])
    if isinstance(result.verification, str):
        say(screen, "verify", [f"not done: {result.verification}"], style="yellow")
    else:
        print_verified(result.verification)


def _print_devices(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    made = table(("device", "runtime"), ("segments", "operators", "kernels", "weights", "time"))
    for facts in rows:
        counts = [str(facts["segments"]), str(facts["operators"]), str(facts["kernels"])]
        cells = [f"{facts['name']} ({facts['kind']})", facts["runtime"], *counts, size(facts["weight_bytes"]), time(facts["seconds"])]
        row(made, cells, style="" if facts["segments"] else "dim")
    screen.print(made)


def _handoff(facts: Mapping[str, Any]) -> str:
    what = f"{count(facts['tensors'], 'tensor')}, {facts['mode']} via {facts['via']}"
    return f"{facts['from']} -> {facts['to']}: {what}, {size(facts['bytes'])}, {time(facts['seconds'])}"


def _latency(latency: Mapping[str, Any], result: CompileResult) -> Iterator[str | Text]:
    parts = f"compute {time(latency['compute'])}, dispatch {time(latency['dispatch'])}, handoffs {time(latency['handoff'])}"
    yield Text(time(latency["predicted"]), style="bold").append(f" predicted ({parts})", style="not bold")
    rivals = [(f"all on {result.work.target.host.name}", latency["all_host"]), ("greedy partitioning", latency["greedy"])]
    yield f"against {', '.join(_against(name, value, latency['predicted']) for name, value in rivals)}"
    proof = "proven optimal"
    if not latency["proven_optimal"]:
        proof = f"within {latency['gap'] * 100:.1f} % of the bound {time(latency['lower_bound'])} (--effort 10 looks longer for a proof)"
    yield f"{proof} over {count(len(result.work.placement.question.units) if result.work.placement else 0, 'unit')}"


def _against(name: str, seconds: float | None, ours: float) -> str:
    if seconds is None:
        return f"{name}: breaks a limit"
    return f"{name} {time(seconds)} ({seconds / ours:.2f}x)" if ours else f"{name} {time(seconds)}"


def _over(arena: Mapping[str, Any]) -> str:
    return f" ({arena['bytes'] / arena['lower_bound']:.3f}x)" if arena["lower_bound"] else ""


def _print_limits(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    told = []
    for facts in rows:
        kind, bound = facts["name"].split()[0], f"{facts['comparison']} {facts['text']}"
        if facts["value"] is None:
            told.append(Text(f"{facts['name']} {bound}: not measured", style="yellow"))
        else:
            value, margin = amount(kind, facts["value"]), _margin(kind, facts["margin"])
            told.append(Text(f"{facts['name']} {value} {bound}, margin {margin} ({facts['basis']})"))
    say(screen, "limits", told)


def _margin(kind: str, value: float) -> str:
    """Rounded down, where an amount is rounded up: 8 GiB less 933 KiB is not 8 GiB."""
    text = amount(kind, -value) if value else amount(kind, 0.0)
    return text if not value else text[1:] if text.startswith("-") else f"-{text}"


def _checked(passes: Sequence[Checked]) -> str:
    """What `--verify-each` found where it found no fault."""
    changed = [one for one in passes if one.changed]
    worst = max(changed, key=lambda one: one.max_abs_over_std, default=None)
    most = f"; the most off after one is {worst.max_abs:.3g} ({worst.name})" if worst is not None and worst.max_abs else ""
    return f"{len(passes)} pass{'' if len(passes) == 1 else 'es'} compared with the model, {len(changed)} changed the graph{most}"


def _rewrites(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    general = [f"{facts['rule']} x{facts['sites']}" for facts in rows if facts["device"] is None]
    if general:
        yield ", ".join(general)
    for facts in rows:
        if facts["device"] is not None:
            bounded = facts["contract"] == "bounded"
            known = f"claimed at {facts['claimed']}" if facts["claimed"] else "proved"
            bound = f"bounded, each within {facts['bound']:.3g} ({known})" if bounded else facts["contract"]
            yield f"{facts['rule']} x{facts['sites']} on {facts['device']}: {bound}"


def _guesses(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "none decided: no other known plan wins if one of them is off by 2x"
    for facts in rows[:MOST_GUESSES]:
        yield f"{facts['path']} = {facts['text']} ({facts['origin']}): {facts['decided']}"
    if len(rows) > MOST_GUESSES:
        yield f"and {len(rows) - MOST_GUESSES} more in the manifest"


MOST_LOADED = 8


def _signed(amount: int) -> str:
    return f"-{size(-amount)}" if amount < 0 else size(amount)


def print_run(result: RunResult) -> None:
    """Outputs, and times per step."""
    screen, mark = console(), _mark(result.emulated)
    say(screen, "outputs", [f"{short(name)}  {_describe(value)}{mark}" for name, value in result.outputs.items()])
    made = table(("step", "device", "runtime", "on"), ("bound", "copied", "best", "median", *_column(result.emulated)))
    for step in result.steps:
        moved = (size(step.bound) if step.bound else "-", size(step.copied) if step.copied else "-")
        cells = (short(step.what), step.device, step.runtime, step.hardware, *moved, time(step.best), time(step.median))
        row(made, (*cells, *_cell(result.emulated)))
    screen.print(made)
    if result.zero_copy:
        say(
            screen, "handoffs", [f"{count(result.zero_copy, 'tensor')} without a host-visible copy: same addresses on both sides (checked)"]
        )
    resident = [f"{m.segment} by {m.runtime}: {_signed(m.own)} of its own, {_signed(m.mapped)} mapped" for m in result.resident]
    more = [f"and {len(resident) - MOST_LOADED} more (--json)"] if len(resident) > MOST_LOADED else []
    say(screen, "memory by loading", [*resident[:MOST_LOADED], *more])
    say(screen, "total", [f"{count(result.repeat, 'run')}: best {time(result.best)}, median {time(result.median)}{mark}"])
    _print_timelines(screen, result)


def _print_timelines(screen: Console, result: RunResult) -> None:
    """Where there is more than one step to see: a picture, and what overlapping brought."""
    overlapped = result.pipelined
    if len(result.timeline.spans) > 1:
        say(screen, "timeline", gantt(result.timeline))
    if overlapped is None:
        return
    say(screen, "pipelined", gantt(overlapped.timeline))
    busy = ", ".join(f"{name} {seconds / overlapped.timeline.wall:.0%}" for name, seconds in overlapped.timeline.busy().items())
    before, now = time(overlapped.sequential_seconds), time(overlapped.seconds)
    say(
        screen,
        "",
        [
            f"{count(overlapped.requests, 'request')}: {before} in turn, {now} pipelined ({overlapped.speedup:.2f}x), same bits",
            f"busy: {busy}; on average {overlapped.timeline.at_once:.2f} at once",
            _generations(overlapped),
        ],
    )


def _generations(overlapped: Pipelined) -> str:
    fit = "" if overlapped.fit is None else f"; the target's limits leave room for {overlapped.fit}"
    again = f"; weights resident once in each: segment {', '.join(overlapped.loaded_again)}" if overlapped.loaded_again else ""
    return f"{count(overlapped.generations, 'generation')} of the arena, {size(overlapped.arena_bytes)}{fit}{again}"


def print_verified(report: VerifyReport) -> None:
    """Errors per output and per segment boundary, the worst first where there are many, and the verdict."""
    screen, mark = console(), _mark(report.emulated)
    made = table(("compared",), ("max abs", "max rel", "cosine", "max abs / std", *_column(report.emulated)))
    left = []
    for kind, rows in (("output", report.outputs), ("boundary", report.boundaries)):
        shown = _worst(rows)
        for d in shown:
            numbers = (f"{d.max_abs:.3g}", f"{d.max_rel:.3g}", f"{d.cosine:.6f}", f"{d.max_abs_over_std:.3g}")
            row(made, (f"{kind} {short(d.name)}", *numbers, *_cell(report.emulated)))
        if len(shown) < len(rows):
            left.append(f"{len(rows) - len(shown)} more {kind} tensors, none worse{mark}")
    screen.print(made)
    if left:
        say(screen, "and", left)
    verdict = "verified" if report.verified else "NOT verified"
    say(screen, "verify", [f"{verdict}: {report.reason}{mark}"], style="green" if report.verified else "red")


def _worst(rows: Sequence[TensorDifference]) -> Sequence[TensorDifference]:
    """All, in order, where they are few."""
    if len(rows) <= MOST_ROWS:
        return rows
    return sorted(rows, key=lambda d: (-d.mismatched, -d.max_abs_over_std))[:MOST_ROWS]


def _column(emulated: Sequence[str]) -> tuple[str, ...]:
    return ("emulated",) if emulated else ()


def _cell(emulated: Sequence[str]) -> tuple[str, ...]:
    return (", ".join(emulated),) if emulated else ()


def _mark(emulated: Sequence[str]) -> str:
    """What every line says when a device's segments ran on a stand-in."""
    return f"  [emulated on the CPU: segment {', '.join(emulated)}]" if emulated else ""


def _describe(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(value, list):
        return f"sequence of {len(value)}"
    named = "string" if str(dtype) == "object" else dtype
    return f"{named}{list(shape)}" if shape is not None else type(value).__name__
