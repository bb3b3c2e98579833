"""`autoglmc calibrate`: measured times of operators and models to the rates of a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, UserError
from .line.complete import complete_devices
from .line.invocation import read_target
from .line.options import FILE, shape_option, target_option
from .line.output import Output, echo_json, output_options

if TYPE_CHECKING:
    from ...targets.model import Device, Target
    from ..calibrate.fit import Fitted
    from ..calibrate.fit_memory import MeasuredMemory
    from ..calibrate.measure.measure import Refused
    from ..calibrate.records import Measurement
    from ..report.progress import Progress

MEASURE = "Measure on this machine: single kernels, and MODEL… compiled for the target."
RAW = "Keep the measurement in this file; without --measure, fit the one that is there."
NAME = "What the new target is called: T_NAME, in T.NAME.hw."
OUTPUT = "The new target's file instead of T.NAME.hw."
DEVICE = "The device to calibrate; needed where the target has several that can be measured."
KEEP = "Write the file though the calibration failed."
KERNELS = "Leave out the single kernels: measure the models alone."


@click.command("calibrate", short_help="Measure a target's device; fit rates to it.")
@click.argument("models", type=FILE, nargs=-1, metavar="[MODEL]…")
@target_option()
@click.option("--measure", is_flag=True, help=MEASURE)
@click.option("--device", metavar="NAME", help=DEVICE, shell_complete=complete_devices)
@click.option("--no-kernels", is_flag=True, help=KERNELS)
@click.option("--raw", type=FILE, metavar="FILE", help=RAW)
@click.option("--name", default="measured", show_default=True, metavar="NAME", help=NAME)
@click.option("-o", "--output", type=FILE, metavar="FILE", help=OUTPUT)
@click.option("--keep-failed", is_flag=True, help=KEEP)
@shape_option
@output_options("Every model and every line.", "Print only the file that was written.")
def calibrate_command(
    models: Sequence[Path],
    target: str,
    measure: bool,
    device: str | None,
    no_kernels: bool,
    raw: Path | None,
    name: str,
    output: Path | None,
    keep_failed: bool,
    shapes: Sequence[str],
    out: Output,
) -> int:
    """Measure a device of a target, and write a target that extends it with the rates that were fitted.

    Models are held out to tell how far predictions may be off; a calibration whose interval is too wide, or that covers too few models,
    has failed: exit code 1, and no file. A second calibration starts from the file of the first, or from the target itself.
    """
    from ..calibrate.fit import fit
    from ..calibrate.write_target import NAME as VALID
    from ..output_file import check_file_place

    if VALID.fullmatch(name) is None:
        raise UsageError(f"--name {name}: letters, digits and _ only, beginning with a letter")
    if not measure and (raw is None or models):
        raise UsageError(
            "nothing to fit: --measure measures here, --raw FILE reads what was measured", help="see `autoglmc calibrate --help`"
        )
    with out.progress() as tell:
        machine = read_target(target, tell)
        path = output or Path(f"{machine.name}.{name}.hw")
        check_file_place(path, "a target", (".hw",))
        if raw is not None and measure:
            check_file_place(raw, "a measurement", (".json",), "--raw")
        measured, refused, memory = _measured(models, machine, measure, device, not no_kernels, raw, shapes, tell)
        tell("fit")
        fitted = _with_memory(_fit(fit, measured, machine), memory)
    written = not fitted.failures or keep_failed
    if written:
        _write(fitted, machine, measured.device, name, target, path)
    _print(fitted, refused, memory, path if written else None, out)
    return 0 if not fitted.failures else 1


def _measured(
    models: Sequence[Path],
    machine: Target,
    measure: bool,
    device: str | None,
    kernels: bool,
    raw: Path | None,
    shapes: Sequence[str],
    tell: Progress,
) -> tuple[Measurement, Sequence[Refused], Sequence[MeasuredMemory]]:
    from ..calibrate.measure_here import Subject, measure_here
    from ..calibrate.raw_file import raw_bytes, read_raw
    from ..load.bind_shapes import parse_shapes
    from ..output_file import write_file

    if not measure:
        assert raw is not None
        found = read_raw(raw)
        if found.device not in {one.name for one in machine.devices}:
            raise UsageError(f"{raw} was measured on a device {found.device}, which {machine.name} does not have")
        return found, (), ()
    sizes = parse_shapes(shapes)
    subjects = [Subject(network=model.stem, case=model.stem, path=model, shapes=sizes) for model in models]
    here = measure_here(machine, _device(machine, device), subjects, _environment(), tell, kernels)
    if raw is not None:
        write_file(raw, raw_bytes(here.measurement))
    return here.measurement, here.refused, here.memory


def _device(machine: Target, name: str | None) -> Device:
    from ..calibrate.measure_here import source_of

    if name is not None:
        found = next((device for device in machine.devices if device.name == name), None)
        if found is None:
            raise UsageError(f"{machine.name} has no device {name}", help=f"one of {', '.join(device.name for device in machine.devices)}")
        return found
    able, problem = [], None
    for device in machine.devices:
        try:
            source_of(device)
            able.append(device)
        except UserError as why:
            problem = why
    if len(able) > 1:
        raise UsageError("several devices can be measured here", help=f"--device {' or '.join(device.name for device in able)}")
    if not able:
        assert problem is not None
        raise problem
    return able[0]


def _environment() -> dict[str, str]:
    """What a measurement depends on besides the runtime."""
    import datetime
    import platform

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": processor, "threads": "1", "date": datetime.date.today().isoformat()}


def _fit(fit: Any, measured: Measurement, machine: Target) -> Fitted:
    try:
        found: Fitted = fit(measured, machine)
    except ValueError as problem:
        raise UserError(str(problem), help="--measure with more models, or on a quieter machine") from problem
    except ImportError as problem:
        raise UserError("fitting needs scipy, which is not installed", help="pip install 'autoglmc[calibrate]'") from problem
    return found


def _with_memory(fitted: Fitted, memory: Sequence[MeasuredMemory]) -> Fitted:
    from dataclasses import replace

    from ..calibrate.fit_memory import fit_memory

    return replace(fitted, calibration=replace(fitted.calibration, memory=fit_memory(memory)))


def _write(fitted: Fitted, machine: Target, device: str, name: str, given: str, path: Path) -> None:
    from ..calibrate.write_target import target_text
    from ..output_file import write_file

    write_file(path, target_text(fitted, machine, device, name, given, path.parent))


def _print(fitted: Fitted, refused: Sequence[Refused], memory: Sequence[MeasuredMemory], path: Path | None, out: Output) -> None:
    from ..calibrate.as_json import as_json
    from ..report.calibrated import print_calibrated

    facts = as_json(fitted, refused, memory, path)
    if out.as_json:
        echo_json(facts)
    elif out.quiet:
        click.echo(path or "; ".join(fitted.failures))
    else:
        print_calibrated(facts, out.verbose)
