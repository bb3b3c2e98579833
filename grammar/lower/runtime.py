"""`runtime qnn htp soc 57 arch 75;`: which adapter compiles and runs a device's segments, and the options it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...targets.model import Runtime
from ..text.syntax import Arg, Statement
from ..words.reader import Reader
from .context import Context


@dataclass(frozen=True, slots=True)
class Form:
    """What may follow a word of the line."""

    needed: tuple[str, ...] = ()
    """Options that must be given, each with a whole number: `soc 57`."""
    optional: tuple[str, ...] = ()
    floors: tuple[str, ...] = ()
    """Systems whose oldest version may be stated: `ios >= 17`."""
    releases: tuple[str, ...] = ()
    """Options whose number may have a point: `vela 5.2`."""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options whose value is one of these words: `config u55-256`."""
    what: str = ""
    """Why the needed options are needed."""


PLAIN = Form()
APPLE = Form(floors=("ios", "macos"))
ETHOS = Form(
    needed=("vela", "config", "system", "memory"),
    releases=("vela",),
    values={
        "config": (
            "u55-32", "u55-64", "u55-128", "u55-256", "u65-256", "u65-512", "u85-128", "u85-256", "u85-512", "u85-1024", "u85-2048",
        ),
        "system": (
            "Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded", "Ethos_U65_Embedded", "Ethos_U65_Mid_End", "Ethos_U65_High_End",
            "Ethos_U65_Client_Server", "Ethos_U85_SYS_Flash_Low", "Ethos_U85_SYS_Flash_High", "Ethos_U85_SYS_DRAM_Low",
            "Ethos_U85_SYS_DRAM_Mid", "Ethos_U85_SYS_DRAM_High",
        ),
        "memory": (
            "Sram_Only", "Shared_Sram", "Dedicated_Sram", "Dedicated_Sram_256KB", "Dedicated_Sram_384KB", "Dedicated_Sram_512KB",
        ),
    },
    what="Vela compiles for one configuration, system and memory mode of its vela.ini",
)  # fmt: skip
RUNTIMES: Mapping[str, Mapping[str, Form]] = {
    # adapter: back end -> its options; "" is an adapter without a choice of back ends
    "none": {"": PLAIN},
    "ort": {"": PLAIN},
    "nnapi": {"": PLAIN},
    "coreml": {"mlprogram": APPLE, "neuralnetwork": APPLE},
    "coreai": {"": APPLE},
    "qnn": {
        "htp": Form(needed=("soc", "arch"), optional=("vtcm",), what="the Hexagon compiler generates code for one chip"),
        "gpu": PLAIN,
    },
    "iree": {"vulkan": PLAIN, "cpu": PLAIN},
    "litert": {"": PLAIN},
    "ethos_u": {"": ETHOS},
    "openvino": {"cpu": PLAIN, "gpu": PLAIN, "npu": PLAIN},
}


def lower_runtime(statement: Statement, context: Context) -> Runtime | None:
    """The adapter and its words, as they stand; HW0101 for a word nobody knows, HW0104 for a missing option."""
    args = tuple(_hyphenated(statement.args))
    reader = Reader(statement, context.report, args)
    adapter = reader.take_choice(RUNTIMES, "a runtime")
    if adapter is None:
        return None
    forms = RUNTIMES[adapter.text]
    backend = adapter
    if "" not in forms:
        if reader.peek() is None:
            reader.fail(f"a back end of {adapter.text}: {', '.join(forms)}")
        word = reader.take_choice(forms, f"a back end of {adapter.text}") if not reader.failed else None
        if word is None:
            return None
        backend = word
    _options(backend, forms[backend.text if "" not in forms else ""], reader, context)
    reader.end()
    return None if reader.failed else Runtime(adapter=adapter.text, words=tuple(arg.text for arg in args[1:]))


def _hyphenated(args: Sequence[Arg]) -> Iterator[Arg]:
    """The arguments, with those that a hyphen joins without a space as one word: `u55-256`."""
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        while len(rest) > 1 and rest[0].text == "-" and arg.span.end == rest[0].span.start and rest[0].span.end == rest[1].span.start:
            joined = arg.span.to(rest[1].span)
            arg, rest = Arg("word", joined.text, joined), rest[2:]
        yield arg


def _options(backend: Arg, form: Form, reader: Reader, context: Context) -> None:
    given: dict[str, Arg] = {}
    choices = (*form.needed, *form.optional, *form.floors)
    while reader.peek() is not None and choices and not reader.failed:
        word = reader.take_choice(choices, "an option of the runtime")
        if word is None:
            return
        if word.text in given:
            context.report.error("HW0103", word.span, f"`{word.text}` is set twice")
        given[word.text] = word
        if word.text in form.floors and reader.take_sign(">=") is None:
            reader.fail(f"`>=` and a version after `{word.text}`")
        if word.text in form.values:
            reader.take_choice(form.values[word.text], f"a value of `{word.text}`")
            continue
        glued = reader.peek()
        if glued is not None and glued.kind == "word" and (digits := glued.text.lstrip("vV")).isdigit() and not reader.failed:
            reader.fail(f"a number after `{word.text}`", f"write `{word.text} {digits}`")
        number = reader.take("number", f"a number after `{word.text}`") if not reader.failed else None
        if number is not None and not number.text.isdigit() and word.text not in (*form.floors, *form.releases):
            context.report.error("HW0108", number.span, f"`{word.text}` must be a whole number, not {number.text}")
    lacking = [name for name in form.needed if name not in given]
    if lacking and not reader.failed:
        help = f"{form.what}: `{reader.statement.args[0].text} {backend.text} {' '.join(f'{n} …' for n in form.needed)}`"
        names = " and ".join(f"`{name}`" for name in lacking)
        context.report.missing(backend.span, f"the runtime `{backend.text}` needs {names}", help, lacking[0])
