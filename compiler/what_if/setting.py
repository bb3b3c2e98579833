"""`--set npu.dispatch=50us`: a number at another value, written into a text that extends the target, so that the language judges it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...grammar import Diagnostic, HwError, Source
from ...targets.model import Target
from ..errors import UsageError
from ..hw.amended_target import amended_result, in_place
from .all_numbers import all_numbers
from .find_number import find_number
from .number import Number

QUANTITY = re.compile(r"\s*(-?\s*[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z_\u00b5\u03bc][\w/]*|%)?\s*")
LONGEST = 80
"""Characters of a value."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A number of a target, and the text of its other value."""

    path: str
    text: str
    """With its unit: "50 us"."""
    option: str
    """As it was given: "--set npu.dispatch=50us"."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A target as its file has it, and its numbers."""

    file: Path
    target: Target
    numbers: tuple[Number, ...]

    def number(self, path: str) -> Number:
        """That of a whole path. Raises UsageError."""
        return find_number(path, self.numbers, "", self.target.name)


def machine_of(file: Path, target: Target) -> Machine:
    return Machine(file, target, all_numbers(target))


def read_setting(given: str, machine: Machine) -> Setting:
    """PATH=VALUE. Raises UsageError for another form, an unknown path, and what is no number."""
    option = f"--set {given}"
    word, sign, value = given.partition("=")
    if not sign or not word.strip():
        raise UsageError("a setting is PATH=VALUE", where=option, help="for example --set npu.dispatch=50us; --list shows the paths")
    number = find_number(word.strip(), machine.numbers, option, machine.target.name)
    return Setting(number.path, quantity_text(value, option), option)


def quantity_text(value: str, option: str) -> str:
    """A number and its unit, separated by a blank. Whether they suit, the language decides. Raises UsageError for anything else."""
    found = QUANTITY.fullmatch(value) if len(value) <= LONGEST else None
    if found is None:
        raise UsageError(f"'{value.strip()}' is no number with a unit", where=option, help="for example 50us, 200MiB, 60%, 1.5 TOPS")
    return " ".join(filter(None, (found[1].replace(" ", ""), found[2])))


def check_apart(settings: Sequence[Setting]) -> None:
    """Raises UsageError for a number that is set twice."""
    seen: dict[str, Setting] = {}
    for setting in settings:
        if (before := seen.setdefault(setting.path, setting)) is not setting:
            raise UsageError(f"'{setting.path}' is set twice", where=f"{before.option} and {setting.option}", help="leave one out")


def applied(machine: Machine, settings: Sequence[Setting], warn: Callable[[str], None] | None = None) -> Target:
    """The target with the numbers at their other values; `warn` gets what the language remarks on them.

    Raises UsageError with what the language says of a setting that it refuses, and where the number is then something else."""
    if not settings:
        return machine.target
    statements = _statements(machine, settings)
    plain = [(block, text) for block, text, _ in statements]
    try:
        result = amended_result(machine.file, machine.target, plain, "with --set")
    except (HwError, OSError) as problem:
        raise UsageError(f"cannot read the target again: {problem}", where=str(machine.file)) from None
    for found in result.diagnostics:
        setting = _about(found, statements)
        if found.severity == "error":
            raise _refused(found, setting, settings)
        if setting is not None and warn is not None:
            warn(f"{setting.option}: {found.message} [{found.code}]")
    assert result.target is not None
    made = in_place(result.target, machine.target)
    _check_effect(made, settings, machine)
    return made


def _statements(machine: Machine, settings: Sequence[Setting]) -> list[tuple[str, str, Setting]]:
    """(block, statement, the setting it is for): numbers that share a statement are written together, with those that stay."""
    texts = {setting.path: setting.text for setting in settings}
    made: dict[tuple[str, str], Setting] = {}
    for setting in settings:
        number = machine.number(setting.path)
        text = _statement(number, setting, machine, texts)
        made.setdefault((number.block, text), setting)
        if number.beside:
            made.setdefault((number.block, f"{number.beside} {setting.text}"), setting)
    return [(block, text, setting) for (block, text), setting in made.items()]


def _statement(number: Number, setting: Setting, machine: Machine, texts: Mapping[str, str]) -> str:
    if number.template:
        parts = (texts.get(one) or machine.number(one).text if k % 2 else one for k, one in enumerate(number.template))
        return "".join(parts)
    return _joined(number, machine.numbers, texts) if number.joined else f"{number.statement} {setting.text}"


def _joined(number: Number, numbers: Sequence[Number], texts: Mapping[str, str]) -> str:
    """`power active 3 W, idle 0.1 W`, the values that are set and those that stay."""
    parts = []
    for one in numbers:
        if one.block == number.block and one.joined == number.joined:
            text = texts.get(one.path, "" if one.provenance in ("", "default") else one.text)
            parts += [f"{one.statement.removeprefix(f'{one.joined} ')} {text}"] if text else []
    return f"{number.joined} {', '.join(parts)}"


def _about(found: Diagnostic, statements: Sequence[tuple[str, str, Setting]]) -> Setting | None:
    """The setting whose statement a message is about, if it is about one."""
    source: Source = found.span.source
    for _, text, setting in statements:
        begin = source.text.find(f" {text};") + 1
        if begin and source.name.endswith(" with --set") and begin <= found.span.start < begin + len(text) + 1:
            return setting
    return None


def _refused(found: Diagnostic, setting: Setting | None, settings: Sequence[Setting]) -> UsageError:
    about = [setting] if setting is not None else settings
    return UsageError(f"{found.message} [{found.code}]", where=", ".join(dict.fromkeys(one.option for one in about)), help=found.help)


def _check_effect(made: Target, settings: Sequence[Setting], machine: Machine) -> None:
    """A statement that another one overrules would make a table of equal rows."""
    for setting in settings:
        if _measured(made, setting.path):
            message = f"'{setting.path}' has no effect: the calibration of the device says what was measured"
            own = setting.path.removeprefix("device.").replace(".", ".calibration.", 1)
            raise UsageError(message, where=setting.option, help=f"set {own}")
    numbers = {number.path: number for number in all_numbers(made)}
    for setting in settings:
        was = machine.number(setting.path)
        if (number := numbers.get(setting.path)) is not None and number.dimension != was.dimension:
            message = f"'{setting.path}' is a {was.dimension}, and {setting.text} is a {number.dimension}"
            raise UsageError(message, where=setting.option, help=f"it is {was.text} in {was.place}")
        if number is None or number.text.replace(" ", "") != setting.text.replace(" ", ""):
            message = f"'{setting.path}' stays what it is: another statement of the file sets it too"
            raise UsageError(message, where=setting.option, help=was.place)


def _measured(target: Target, path: str) -> bool:
    """Whether a calibration states the time in place of the number."""
    kind, _, rest = path.partition(".")
    name, _, field = rest.partition(".")
    found = next((device.calibration for device in target.devices if kind == "device" and device.name == name), None)
    return found is not None and field in ("dispatch", "launch") and getattr(found, field) is not None
