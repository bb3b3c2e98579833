"""The summaries a person reads: one screen for a compilation, a run, a verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..compiled import CompileResult
from ..limits import amount

if TYPE_CHECKING:
    from ..run import RunResult
    from ..verify import VerifyReport

WIDTH = 110
"""Columns when the output is no terminal, so that logs wrap the same everywhere."""


def console() -> Console:
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=WIDTH)


def print_compiled(result: CompileResult) -> None:
    """The summary of a compilation."""
    screen, facts = console(), result.as_json()
    manifest = result.manifest
    screen.print(f"[bold]{result.folder}[/]  {manifest.target.name}, opset {manifest.model.opset} model, {_operators(facts)}")
    screen.print(_devices(facts["devices"]))
    _print_handoffs(screen, facts["handoffs"])
    _print_latency(screen, facts["latency"], result)
    arena = facts["arena"]
    screen.print(f"arena     {size(arena['bytes'])}, lower bound {size(arena['lower_bound'])}{_over(arena)}")
    _print_limits(screen, facts["limits"])
    _print_rewrites(screen, facts["rewrites"])
    _print_guesses(screen, facts["guesses"])
    for note in facts["notes"]:
        screen.print(Text(f"note      {note}"))
    if isinstance(result.verification, str):
        screen.print(Text(f"verify    not done: {result.verification}", style="yellow"))
    else:
        print_verified(result.verification)


def _operators(facts: Mapping[str, Any]) -> str:
    after = sum(facts["operators"]["recovered"].values())
    return f"{facts['operators']['before']} operators, {after} once recovered and simplified"


def _devices(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("device", "runtime"):
        table.add_column(name)
    for name in ("segments", "operators", "kernels", "weights", "time"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [str(row["segments"]), str(row["operators"]), str(row["kernels"]), size(row["weight_bytes"]), time(row["seconds"])]
        table.add_row(f"{row['name']} ({row['kind']})", row["runtime"], *cells, style="" if row["segments"] else "dim")
    return table


def _print_handoffs(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.print("handoffs  none: one device holds everything")
    for k, row in enumerate(rows):
        lead = "handoffs  " if k == 0 else "          "
        count = f"{row['tensors']} tensor{'s' if row['tensors'] != 1 else ''}"
        text = f"{lead}{row['from']} -> {row['to']}: {count}, {row['mode']} via {row['via']}, {size(row['bytes'])}, {time(row['seconds'])}"
        screen.print(Text(text))


def _print_latency(screen: Console, latency: Mapping[str, Any], result: CompileResult) -> None:
    host = result.work.target.host.name
    screen.print(
        f"latency   [bold]{time(latency['predicted'])}[/] predicted "
        f"(compute {time(latency['compute'])}, dispatch {time(latency['dispatch'])}, handoffs {time(latency['handoff'])})"
    )
    rivals = [(f"all on {host}", latency["all_host"]), ("greedy partitioning", latency["greedy"])]
    told = ", ".join(_against(name, value, latency["predicted"]) for name, value in rivals)
    proof = "proven optimal"
    if not latency["proven_optimal"]:
        proof = f"within {latency['gap'] * 100:.1f} % of the bound {time(latency['lower_bound'])} (--effort 10 looks longer for a proof)"
    units = len(result.work.placement.question.units) if result.work.placement else 0
    screen.print(f"          against {told}")
    screen.print(f"          {proof} over {units} units")


def _against(name: str, seconds: float | None, ours: float) -> str:
    if seconds is None:
        return f"{name}: breaks a limit"
    return f"{name} {time(seconds)} ({seconds / ours:.2f}x)" if ours else f"{name} {time(seconds)}"


def _over(arena: Mapping[str, Any]) -> str:
    return f" ({arena['bytes'] / arena['lower_bound']:.3f}x)" if arena["lower_bound"] else ""


def _print_limits(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    for k, row in enumerate(rows):
        lead = "limits    " if k == 0 else "          "
        kind = row["name"].split()[0]
        if row["value"] is None:
            screen.print(Text(f"{lead}{row['name']} {row['comparison']} {row['text']}: not measured", style="yellow"))
            continue
        value, margin = amount(kind, row["value"]), amount(kind, row["margin"])
        text = f"{row['name']} {value} {row['comparison']} {row['text']}, margin {margin} ({row['basis']})"
        screen.print(Text(lead + text))


def _print_rewrites(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.print("rewrites  none")
    general = [f"{row['rule']} x{row['sites']}" for row in rows if row["device"] is None]
    if general:
        screen.print(Text(f"rewrites  {', '.join(general)}"))
    for k, row in enumerate(row for row in rows if row["device"] is not None):
        lead = "          " if general or k else "rewrites  "
        bound = f"bounded, each within {row['bound']:.3g} (proved)" if row["contract"] == "bounded" else row["contract"]
        screen.print(Text(f"{lead}{row['rule']} x{row['sites']} on {row['device']}: {bound}"))


def _print_guesses(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.print("guesses   none decided: no other known plan wins if one of them is off by 2x")
    for k, row in enumerate(rows[:6]):
        lead = "guesses   " if k == 0 else "          "
        screen.print(Text(f"{lead}{row['path']} = {row['text']} ({row['origin']}): {row['decided']}"))
    if len(rows) > 6:
        screen.print(f"          and {len(rows) - 6} more in the manifest")


def print_run(result: RunResult) -> None:
    """Outputs, and times per step."""
    screen = console()
    mark = _mark(result.emulated)
    for name, value in result.outputs.items():
        screen.print(Text(f"{name}  {_describe(value)}{mark}"))
    table = _table(("step", "device", "runtime"), ("best", "median"), result.emulated)
    for step in result.steps:
        _row(table, (step.what, step.device, step.runtime, time(step.best), time(step.median)), result.emulated)
    screen.print(table)
    screen.print(
        Text(f"{result.repeat} run{'s' if result.repeat != 1 else ''}: best {time(result.best)}, median {time(result.median)}{mark}")
    )


def print_verified(report: VerifyReport) -> None:
    """Errors per output and per segment boundary, and the verdict."""
    screen = console()
    table = _table(("compared",), ("max abs", "max rel", "cosine", "max abs / std"), report.emulated)
    for kind, rows in (("output", report.outputs), ("boundary", report.boundaries)):
        for row in rows:
            numbers = (f"{row.max_abs:.3g}", f"{row.max_rel:.3g}", f"{row.cosine:.6f}", f"{row.max_abs_over_std:.3g}")
            _row(table, (f"{kind} {row.name}", *numbers), report.emulated)
    screen.print(table)
    verdict = "verified" if report.verified else "NOT verified"
    screen.print(Text(f"verify    {verdict}: {report.reason}{_mark(report.emulated)}", style="green" if report.verified else "red"))


def _table(words: Sequence[str], numbers: Sequence[str], emulated: Sequence[str]) -> Table:
    """Text columns, number columns, and, where segments ran on a stand-in, a column that says so on every line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    if emulated:
        table.add_column("emulated")
    return table


def _row(table: Table, cells: Sequence[str], emulated: Sequence[str]) -> None:
    table.add_row(*(Text(cell) for cell in cells), *([", ".join(emulated)] if emulated else []))


def _mark(emulated: Sequence[str]) -> str:
    """What every line says when a device's segments ran on a stand-in."""
    return f"  [emulated on the CPU: segment {', '.join(emulated)}]" if emulated else ""


def _describe(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{dtype}{list(shape)}" if shape is not None else type(value).__name__


def size(value: float) -> str:
    """1536 -> 1.5 KiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def time(seconds: float) -> str:
    """Seconds in the unit that needs no zeros."""
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if abs(seconds) >= 1e-3 else f"{seconds * 1e6:.0f} us"
