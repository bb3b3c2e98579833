"""`deploy agent { … }`: models, links and states of one bundle. What the files themselves have, only who compiles them can say."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ...targets.deployment import DeployedLink, DeployedModel, DeployedState, Deployment
from ...targets.model import Bucket
from ..text.diagnostics import Note
from ..text.syntax import Arg, Statement
from ..words.names import suggestion_or_list
from ..words.properties import PROPERTIES
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .numbers import report_missing
from .shapes import LARGEST, lower_shapes

MOST = 64
"""Models of a bundle."""
MOST_LINKS = 1000
FEWEST = 2
"""Tokens that a cache holds at most."""
CACHE_DTYPES = ("fp16",)
"""That caches may be kept in, in place of the model's own."""


class _Parts:
    """What has been read of the block so far."""

    def __init__(self) -> None:
        self.target: Arg | None = None
        self.models: dict[str, DeployedModel] = {}
        self.links: list[tuple[DeployedLink, tuple[Arg, Arg, Arg]]] = []
        """Each with the words that name its models, and its input."""
        self.states: list[tuple[DeployedState, Arg]] = []
        self.given: list[Arg] = []
        self.shapes: tuple[Bucket, ...] = ()
        self.sizes: list[tuple[str, int]] = []


def lower_deploy(statement: Statement, context: Context) -> Deployment | None:
    """None where something is missing; every mistake is reported."""
    reader = Reader(statement, context.report)
    name = reader.take("word", "a name, as in `deploy agent { … }`")
    reader.end()
    if name is None:
        return None
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, "`deploy` needs a block of models and a target")
        return None
    parts, where = _Parts(), f"deploy `{name.text}`"
    items = [item for item in statement.body if isinstance(item, Statement)]
    for kind, most in (("model", MOST), ("link", MOST_LINKS)):
        if len(same := [item for item in items if item.head.text == kind]) > most:
            context.report.error("HW0108", same[most].head.span, f"{len(same)} of `{kind}`: a bundle has at most {most}")
            return None
    for item in sorted(items, key=lambda item: item.head.text != "model"):  # first: links name them
        _read(item, parts, where, context)
    report_missing("deploy", where, statement.body, name.span, context)
    _check_links(parts, context)
    _check_states(parts, context)
    if parts.target is None or not parts.models:
        return None
    return Deployment(
        name=name.text,
        target=parts.target.text,
        origin=parts.target.span.origin,
        models=tuple(parts.models.values()),
        links=tuple(link for link, _ in parts.links),
        states=tuple(state for state, _ in parts.states),
        given=tuple(arg.text for arg in parts.given),
        shapes=parts.shapes,
        sizes=tuple(parts.sizes),
    )


def _read(item: Statement, parts: _Parts, where: str, context: Context) -> None:
    reader = Reader(item, context.report)
    match item.head.text:
        case "target":
            parts.target = reader.take("string", 'a target in quotes, as in `target "x86_cpu";`')
        case "model":
            _model(reader, parts)
        case "link":
            _link(reader, parts, context)
        case "state":
            _state(reader, parts, context)
        case "given":
            found = reader.take("string", 'an input in quotes, as in `given "position_ids";`')
            parts.given += [found] if found else []
        case "shapes":
            parts.shapes = lower_shapes(item, context)
            return
        case "size":
            dim = reader.take("word", "a dim and its size, as in `size patches 64;`")
            number = _whole(reader, 1, context) if dim else None
            parts.sizes += [(dim.text, number)] if dim and number else []
        case _:
            unknown(item, "deploy", where, context.report)
            return
    reader.end()


def _model(reader: Reader, parts: _Parts) -> None:
    name = reader.take("word", 'a name and a file, as in `model vision "vision.onnx";`')
    path = reader.take("string", "the path of an ONNX file in quotes") if name else None
    if name is not None and path is not None:
        parts.models.setdefault(name.text, DeployedModel(name=name.text, path=path.text, origin=path.span.origin))


def _end(reader: Reader, parts: _Parts, context: Context) -> tuple[Arg, Arg] | None:
    """A model, which has to be one of the block, and a tensor of it."""
    name = reader.take("word", "a model and a tensor of it in quotes")
    if name is None:
        return None
    if name.text not in parts.models:
        help = suggestion_or_list(name.text, parts.models, short=True)
        context.report.error("HW0202", name.span, f"no model `{name.text}` to link", help)
    tensor = reader.take("string", "the tensor in quotes")
    return None if tensor is None else (name, tensor)


def _link(reader: Reader, parts: _Parts, context: Context) -> None:
    source = _end(reader, parts, context)
    if source is None:
        return
    if reader.take_sign("->") is None:
        reader.fail("`->` and the input that it is")
        return
    to = _end(reader, parts, context)
    if to is None:
        return
    known = PROPERTIES["deploy"]["link"]
    word = reader.take_choice(known.words, known.choice) if reader.peek() is not None else None
    rows = reader.take("word", "a name of the rows, as in `rows image`") if word else None
    if reader.failed or source[0].text not in parts.models or to[0].text not in parts.models:
        return
    link = DeployedLink(
        model=source[0].text,
        output=source[1].text,
        to=to[0].text,
        input=to[1].text,
        rows=rows.text if rows else "",
        origin=source[0].span.origin,
    )
    parts.links.append((link, (source[0], *to)))


def _state(reader: Reader, parts: _Parts, context: Context) -> None:
    past = reader.take("string", 'inputs in quotes, as in `state "past.*" = "present.*" max 1024;`')
    if past is None:
        return
    if reader.take_sign("=") is None:
        reader.fail("`=` and the outputs that take their place")
        return
    present = reader.take("string", "the outputs in quotes that take their place")
    if present is None:
        return
    known = PROPERTIES["deploy"]["state"]
    word = reader.take_choice(known.words[:1], known.choice) if reader.peek() is not None else None
    length = _whole(reader, FEWEST, context) if word else None
    word = reader.take_choice(known.words[1:], known.choice) if length and reader.peek() is not None else None
    kept = reader.take_choice(CACHE_DTYPES, "a dtype of caches") if word else None
    if reader.failed:
        return
    if past.text.count("*") > 1 or past.text.count("*") != present.text.count("*"):
        message = f"`{past.span.text}` and `{present.span.text}` need one `*` each, or none"
        context.report.error("HW0001", past.span.to(present.span), message)
        return
    state = DeployedState(past=past.text, present=present.text, length=length, dtype=kept.text if kept else "", origin=past.span.origin)
    parts.states.append((state, past))


def _whole(reader: Reader, least: int, context: Context) -> int | None:
    number = reader.take("number", "a whole number")
    if number is None:
        return None
    if number.text.isdigit() and len(number.text) < 12 and least <= int(number.text) <= LARGEST:
        return int(number.text)
    reader.failed = True
    context.report.error("HW0108", number.span, f"a size must be a whole number from {least} to {LARGEST}, not {number.text}")
    return None


def _check_links(parts: _Parts, context: Context) -> None:
    """HW0207, HW0208: links that no order of the models carries out, and those that write what something else writes."""
    error = context.report.error
    first: tuple[DeployedLink, tuple[Arg, Arg, Arg]] | None = None
    whole: dict[str, Arg] = {}
    for link, (source, to, tensor) in parts.links:
        if link.model == link.to:
            error("HW0207", source.span.to(to.span), f"a link from `{link.model}` to itself", "what a model hands to itself is a `state`")
            continue
        if first is not None and link.to != first[0].to:
            note = Note(f"this leads to `{first[0].to}`", first[1][1].span)
            cycle = any(link.to == other.model for other, _ in parts.links)
            what = f"`{link.to}` feeds another model" if cycle else f"links lead to `{first[0].to}` and to `{link.to}`"
            error("HW0208", to.span, what, "link all outputs to one model, the one that runs last", (note,))
        first = first or (link, (source, to, tensor))
        if not link.rows and whole.setdefault(link.input, source) is not source:
            note = Note("the other one", whole[link.input].span)
            error("HW0208", source.span, f"two links write all of `{link.input}`", "say with `rows` that one is some of the rows", (note,))
        for state, past in parts.states:
            if fnmatchcase(link.input, state.past.replace("[", "[[]").replace("?", "[?]")):
                error("HW0208", tensor.span, f"`{link.input}` is a state, which stays where it is", "", (Note("by this", past.span),))


def _check_states(parts: _Parts, context: Context) -> None:
    for state, past in parts.states[1:]:
        if state.length != parts.states[0][0].length:
            note = Note("the first one", parts.states[0][1].span)
            context.report.error("HW0208", past.span, "states hold different numbers of tokens", "give all the same `max`", (note,))
        if state.dtype != parts.states[0][0].dtype:
            note = Note("the first one", parts.states[0][1].span)
            context.report.error("HW0208", past.span, "caches are kept in different dtypes", "give all the same, or none", (note,))
    if parts.given and not any(state.length for state, _ in parts.states):
        context.report.error("HW0104", parts.given[0].span, "`given` is about caches: it needs a `state` with `max`")
