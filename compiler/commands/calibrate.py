"""`autoglmc calibrate`: measured times of operators and models to the rates of a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, UserError
from .line.complete import complete_devices
from .line.invocation import keep, read_target
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
UNUSED = "rows of private memory (MEMORY) are not fitted: a profile does not say what is held before the first run"
MOST_TOLD = 3
"""Refused models that an error names."""
KEEP = "Write the file though the calibration failed."
PROFILE = "A profile of --bundle from the device itself: the CSV of docs/calibration.md, or what other tools write. Repeatable."
BUNDLE = "The bundle that was profiled; one, or one for each --profile."
LATENCY = "What one run takes without the profiler, 8.1ms, where the profile does not say."
CONVERT = "Write a profile of another tool as CSV to -o, and fit nothing."
KERNELS = "Leave out the single kernels: measure the models alone."


@click.command("calibrate", short_help="Measure a target's device; fit rates to it.")
@click.argument("models", type=FILE, nargs=-1, metavar="[MODEL]…")
@target_option(required=False)
@click.option("--measure", is_flag=True, help=MEASURE)
@click.option("--device", metavar="NAME", help=DEVICE, shell_complete=complete_devices)
@click.option("--no-kernels", is_flag=True, help=KERNELS)
@click.option("--profile", "profiles", multiple=True, type=FILE, metavar="FILE", help=PROFILE)
@click.option("--bundle", "bundles", multiple=True, type=FILE, metavar="FOLDER", help=BUNDLE)
@click.option("--latency", metavar="TIME", help=LATENCY)
@click.option("--convert", type=FILE, metavar="FILE", help=CONVERT)
@click.option("--raw", type=FILE, metavar="FILE", help=RAW)
@click.option("--name", default="measured", show_default=True, metavar="NAME", help=NAME)
@click.option("-o", "--output", type=FILE, metavar="FILE", help=OUTPUT)
@click.option("--keep-failed", is_flag=True, help=KEEP)
@shape_option
@output_options("Every model and every line.", "Print only the file that was written.")
def calibrate_command(
    models: Sequence[Path],
    target: str | None,
    measure: bool,
    device: str | None,
    no_kernels: bool,
    profiles: Sequence[Path],
    bundles: Sequence[Path],
    latency: str | None,
    convert: Path | None,
    raw: Path | None,
    name: str,
    output: Path | None,
    keep_failed: bool,
    shapes: Sequence[str],
    out: Output,
) -> int:
    """Measure a device of a target, and write a target that extends it with the rates that were fitted.

    Models are held out to tell how far predictions may be off; a calibration whose interval is too wide, or that covers too few models,
    has failed: exit code 1, and no file. A second device of the target is calibrated from the file of the first.
    """
    from dataclasses import replace

    from ..calibrate.fit import fit
    from ..calibrate.write_target import NAME as VALID
    from ..calibrate.write_target import check_frame, check_uncalibrated, contradictions, target_text
    from ..hw.load_target import text_remarks
    from ..output_file import check_file_place, write_file

    if VALID.fullmatch(name) is None:
        raise UsageError(f"--name {name}: letters, digits and _ only, beginning with a letter")
    if convert is not None:
        if models or measure or profiles or bundles or raw or shapes or no_kernels or device:
            raise UsageError("--convert fits nothing: it goes with --latency and -o alone")
        return _convert(convert, latency, output, out)
    _check_sources(models, target, measure, profiles, bundles, latency, raw)
    if not measure and (no_kernels or shapes):
        raise UsageError(f"{'--no-kernels' if no_kernels else '--shape'} belongs to --measure")
    assert target is not None
    with out.progress() as tell:
        machine = read_target(target, tell)
        path = output or Path(f"{machine.name}.{name}.hw")
        check_file_place(path, "a target", (".hw",))
        check_frame(machine, name, target, path)
        if raw is not None and (measure or profiles):
            check_file_place(raw, "a measurement", (".json",), "--raw")
        refused: Sequence[Refused] = ()
        memory: Sequence[MeasuredMemory] = ()
        unused: tuple[str, ...] = ()
        if profiles:
            measured, unused = _profiled(profiles, bundles, latency, machine, device, raw, tell)
        else:
            measured, refused, memory = _measured(models, machine, measure, device, not no_kernels, raw, shapes, tell)
        check_uncalibrated(machine, measured.device)
        tell("fit")
        fitted = _with_memory(_fit(fit, measured, machine, refused), memory)
        text = target_text(fitted, machine, measured.device, name, target, path.parent)
        fitted = replace(fitted, failures=(*fitted.failures, *contradictions(text, path)), notes=(*fitted.notes, *unused))
        remarks = list(text_remarks(text, path))
    written = not fitted.failures or keep_failed
    if written:
        write_file(path, text)
    _print(fitted, refused, memory, remarks, path if written else None, out)
    return 0 if not fitted.failures else 1


def _check_sources(
    models: Sequence[Path],
    target: str | None,
    measure: bool,
    profiles: Sequence[Path],
    bundles: Sequence[Path],
    latency: str | None,
    raw: Path | None,
) -> None:
    """Raises UsageError."""
    if target is None:
        raise UsageError("no target to calibrate", where="--target", help="--target FILE|NAME")
    if measure and profiles:
        raise UsageError("--measure and --profile exclude each other", help="fit one, then calibrate with the other")
    if bool(profiles) != bool(bundles):
        raise UsageError("--profile and --bundle belong together: operators are joined to those of the bundle's segments")
    if latency is not None and not profiles:
        raise UsageError("--latency belongs to --profile or --convert")
    if not measure and (models or not (raw or profiles)):
        help = "--measure measures here, --profile FILE reads a profile, --raw FILE reads what was measured"
        raise UsageError("nothing to fit", help=f"{help}; see `autoglmc calibrate --help`")


def _convert(path: Path, latency: str | None, output: Path | None, out: Output) -> int:
    from ..calibrate.profiles.read_all import parse_latency, read_any
    from ..calibrate.profiles.rows import profile_text
    from ..output_file import check_file_place, write_file

    if output is not None:
        check_file_place(output, "a profile", (".csv",))
    found = read_any(path, None if latency is None else parse_latency(latency), path.stem)
    if output is None:
        click.echo(profile_text(found), nl=False)
    else:
        write_file(output, profile_text(found))
    if not any(row.kind == "LATENCY" for row in found.rows):
        out.note("the profile does not say what a run takes without the profiler: add --latency TIME, or a LATENCY row")
    return 0


def _profiled(
    profiles: Sequence[Path],
    bundles: Sequence[Path],
    latency: str | None,
    machine: Target,
    device: str | None,
    raw: Path | None,
    tell: Progress,
) -> tuple[Measurement, tuple[str, ...]]:
    """What the profiles say, and what of them is not used."""
    from ..calibrate.profiles.read_all import parse_latency, read_all
    from ..calibrate.raw_file import raw_bytes
    from ..output_file import write_file

    chosen = None if device is None else _named(machine, device)
    found = read_all(profiles, bundles, None if latency is None else parse_latency(latency), machine, chosen)
    for case, share in found.unjoined.items():
        tell(f"{case}: {share:.1%} of its time is of no operator of the bundle")
    if raw is not None:
        write_file(raw, raw_bytes(found.measurement))
        keep(_kept(raw))
        tell(f"what was measured is kept in {raw}")
    return found.measurement, (UNUSED,) if found.memory_rows else ()


def _kept(raw: Path) -> str:
    return f"{raw} has what was measured, and no target was written; `--raw {raw}` without --measure fits it"


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
    from ..calibrate.case_names import case_names
    from ..calibrate.environment import environment
    from ..calibrate.measure_here import Subject, measure_here
    from ..calibrate.raw_file import memory_in, raw_bytes, read_raw
    from ..calibrate.write_target import check_uncalibrated
    from ..load.shapes_by_model import shapes_by_model
    from ..output_file import write_file

    if not measure:
        assert raw is not None
        found = read_raw(raw)
        if found.device not in {one.name for one in machine.devices}:
            raise UsageError(f"{raw} was measured on a device {found.device}, which {machine.name} does not have")
        if device is not None and _named(machine, device).name != found.device:
            raise UsageError(f"{raw} was measured on {found.device}, not on {device}")
        return found, (), memory_in(raw)
    chosen, models = _device(machine, device), tuple(dict.fromkeys(models))
    check_uncalibrated(machine, chosen.name)
    sizes = shapes_by_model(models, shapes)
    subjects = [
        Subject(network=name, case=name, path=model, shapes=sizes[model]) for name, model in zip(case_names(models), models, strict=True)
    ]
    here = measure_here(machine, chosen, subjects, environment(), tell, kernels)
    if raw is not None:
        write_file(raw, raw_bytes(here.measurement, here.memory))
        keep(_kept(raw))
        tell(f"what was measured is kept in {raw}")
    return here.measurement, here.refused, here.memory


def _device(machine: Target, name: str | None) -> Device:
    from ..calibrate.measure_here import source_of

    if name is not None:
        return _named(machine, name)
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


def _named(machine: Target, name: str) -> Device:
    found = next((device for device in machine.devices if device.name == name), None)
    if found is None:
        raise UsageError(f"{machine.name} has no device {name}", help=f"one of {', '.join(device.name for device in machine.devices)}")
    return found


def _fit(fit: Any, measured: Measurement, machine: Target, refused: Sequence[Refused]) -> Fitted:
    from ..calibrate.fit import NothingMeasured

    try:
        found: Fitted = fit(measured, machine)
    except NothingMeasured as problem:
        why = "; ".join(f"{one.case}: {one.why}" for one in refused[:MOST_TOLD])
        help = "--measure with more models, or on a quieter machine"
        raise UserError(f"{problem}{f' ({why})' if why else ''}", help=help) from problem
    except ImportError as problem:
        raise UserError("fitting needs scipy, which is not installed", help="pip install 'autoglmc[calibrate]'") from problem
    return found


def _with_memory(fitted: Fitted, memory: Sequence[MeasuredMemory]) -> Fitted:
    from dataclasses import replace

    from ..calibrate.fit_memory import fit_memory

    return replace(fitted, calibration=replace(fitted.calibration, memory=fit_memory(memory)))


def _print(
    fitted: Fitted, refused: Sequence[Refused], memory: Sequence[MeasuredMemory], remarks: Sequence[str], path: Path | None, out: Output
) -> None:
    from ..calibrate.as_json import as_json
    from ..report.calibrated import print_calibrated

    facts = as_json(fitted, refused, memory, path) | {"remarks": list(remarks)}
    if out.as_json:
        echo_json(facts)
    elif out.quiet:
        click.echo(path or "; ".join(fitted.failures))
    else:
        print_calibrated(facts, out.verbose)
