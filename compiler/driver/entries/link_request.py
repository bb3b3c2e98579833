"""What a user says of links between models: --link 'vision.features=decoder.inputs_embeds@image'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError, did_you_mean
from ...load.bind_shapes import real_inputs

if TYPE_CHECKING:
    import onnx

FORM = (
    "write --link vision.features=decoder.inputs_embeds@image: MODEL.OUTPUT=MODEL.INPUT, and @ROWS where it is some of the rows, whose "
    "first one every step states"
)
MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An output of one model that is an input of another one."""

    model: str
    output: str
    to: str
    input: str
    label: str
    """What the rows are called that it is, of more; "" where it is all of the input, from the first row on."""
    text: str
    """As it was written."""


def links_of(words: Sequence[str], models: Mapping[str, onnx.GraphProto]) -> tuple[Link, ...]:
    """From the words of --link. Raises UsageError for one that cannot be read or names what there is not, with what there is, and for two
    that contradict each other."""
    found = [_link(word, models) for word in words]
    to = {link.to for link in found}
    if len(to) > 1:
        what = f"links lead to several models: {', '.join(sorted(to))}"
        raise UsageError(what, where="--link", help="link all outputs to one of them, the one that runs last")
    whole: dict[str, Link] = {}
    own: dict[tuple[str, str], Link] = {}
    for link in found:
        if (other := own.setdefault((link.model, link.input), link)) is not link:
            what = f"--link {link.text} and --link {other.text}: one step of '{link.model}' would write '{link.input}' twice"
            raise UsageError(what, help="link one of the two outputs")
        if link.model in to:
            raise UsageError(f"--link {link.text}: a model that links lead to cannot feed another one", help=FORM)
        if not link.label and whole.setdefault(link.input, link) is not link:
            what = f"--link {link.text} and --link {whole[link.input].text} both write all of '{link.input}'"
            raise UsageError(what, help="leave one out, or say with @ROWS that it is some of the rows")
    return tuple(found)


def _link(word: str, models: Mapping[str, onnx.GraphProto]) -> Link:
    source, equals, destination = (part.strip() for part in word.partition("="))
    if not equals or not source or not destination:
        raise UsageError(f"cannot read --link '{word}'", help=FORM)
    model, output = _named(word, source, models)
    _known(word, model, "output", output, [value.name for value in models[model].output])
    to, input = _named(word, destination, models)
    inputs, label = [value.name for value in real_inputs(models[to])], ""
    if input not in inputs and "@" in input:
        input, _, label = input.rpartition("@")
        if not label:
            raise UsageError(f"--link {word} does not say what the rows are called", help=FORM)
    _known(word, to, "input", input, inputs)
    if model == to:
        raise UsageError(f"--link {word} leads from a model to itself", help="a state that a model hands to itself is for --state")
    return Link(model=model, output=output, to=to, input=input, label=label, text=word)


def _named(word: str, text: str, models: Mapping[str, object]) -> tuple[str, str]:
    """The model, and the rest; both may have dots."""
    name = max((name for name in models if text.startswith(f"{name}.")), key=len, default="")
    if not name:
        given = text.partition(".")[0]
        raise UsageError(
            f"--link {word}: there is no model '{given}'", help=did_you_mean(given, models) or f"the models are {', '.join(models)}"
        )
    return name, text[len(name) + 1 :]


def _known(word: str, model: str, kind: str, name: str, known: Sequence[str]) -> None:
    if name in known:
        return
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    help = did_you_mean(name, known) or f"it has {', '.join(known[:MOST_NAMED])}{more}"
    raise UsageError(f"--link {word}: '{model}' has no {kind} '{name}'", help=help)
