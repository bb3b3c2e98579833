"""`runtime qnn htp soc 57 arch 75;`: which adapter compiles and runs a device's segments, and the options it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    what: str = ""
    """Why the needed options are needed."""


PLAIN = Form()
COREML = Form(floors=("ios", "macos"))
RUNTIMES: Mapping[str, Mapping[str, Form]] = {
    # adapter: back end -> its options; "" is an adapter without a choice of back ends
    "none": {"": PLAIN},
    "ort": {"": PLAIN},
    "nnapi": {"": PLAIN},
    "coreml": {"mlprogram": COREML, "neuralnetwork": COREML},
    "qnn": {
        "htp": Form(needed=("soc", "arch"), optional=("vtcm",), what="the Hexagon compiler generates code for one chip"),
        "gpu": PLAIN,
    },
    "iree": {"vulkan": PLAIN, "cpu": PLAIN},
    "litert": {"": PLAIN},
    "openvino": {"cpu": PLAIN, "gpu": PLAIN, "npu": PLAIN},
}


def lower_runtime(statement: Statement, context: Context) -> Runtime | None:
    """The adapter and its words, as they stand; HW0101 for a word nobody knows, HW0104 for a missing option."""
    reader = Reader(statement, context.report)
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
    return None if reader.failed else Runtime(adapter=adapter.text, words=tuple(arg.text for arg in statement.args[1:]))


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
        glued = reader.peek()
        if glued is not None and glued.kind == "word" and (digits := glued.text.lstrip("vV")).isdigit() and not reader.failed:
            reader.fail(f"a number after `{word.text}`", f"write `{word.text} {digits}`")
        number = reader.take("number", f"a number after `{word.text}`") if not reader.failed else None
        if number is not None and not number.text.isdigit() and word.text not in form.floors:
            context.report.error("HW0108", number.span, f"`{word.text}` must be a whole number, not {number.text}")
    lacking = [name for name in form.needed if name not in given]
    if lacking and not reader.failed:
        help = f"{form.what}: `{reader.statement.args[0].text} {backend.text} {' '.join(f'{n} …' for n in form.needed)}`"
        names = " and ".join(f"`{name}`" for name in lacking)
        context.report.missing(backend.span, f"the runtime `{backend.text}` needs {names}", help, lacking[0])
