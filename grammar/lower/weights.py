"""`weights int4 block 32 symmetric MatMul, Gemm where …;`: forms of constant weights that a device reads as they are."""

from __future__ import annotations

from ...targets.dtypes import BITS, BYTES, DTYPES, NARROW_INTEGERS, OTHER_NAMES
from ...targets.precision import WeightFormat
from ..text.syntax import Arg, Statement
from ..words.names import suggestion_or_list
from ..words.property import Property
from ..words.reader import Reader
from .context import Context
from .line_condition import condition_of_line
from .precision import operators_of, place

STORED = tuple(name for name in DTYPES if name in BYTES or (name in NARROW_INTEGERS and BITS[name] == 4))
BESIDE = tuple(name for name in DTYPES if name in NARROW_INTEGERS and BITS[name] >= 8)
LARGEST_BLOCK = 1 << 16


def lower_weights(item: Statement, found: Property, context: Context) -> WeightFormat | None:
    """The line; None if something in it was wrong, and reported."""
    reader = Reader(item, context.report)
    context.spans[place(item.head.span.origin)] = item.span
    dtype = _dtype(reader, STORED, "weights are stored in")
    block, activations = 0, ""
    seen: set[str] = set()
    while dtype is not None and (word := reader.take_word_if(*found.words)):
        if word.text in seen:
            reader.failed = True
            context.report.error("HW0001", word.span, f"`{word.text}` is stated twice")
        seen.add(word.text)
        if word.text == "block":
            block = _block(reader, context) or 0
        elif word.text == "for":
            beside = _dtype(reader, BESIDE, "without `for` the activations are floats; with it they are in")
            activations = beside.text if beside else ""
    first = reader.peek()
    if dtype is not None and first is not None and first.kind == "word" and first.text[0].islower() and "::" not in first.text:
        reader.failed = True
        message = f"unknown property of weights `{first.text}`"
        context.report.error("HW0101", first.span, message, suggestion_or_list(first.text, found.words))
        return None
    operators = operators_of(reader, context) if dtype is not None and first is not None and first.kind == "word" else []
    reader.skip_provenance()
    reader.end()
    fine, where = condition_of_line(item, item.where, operators, context, "`weights` says what the device can read, at any loss")
    if item.body is not None:
        context.report.error("HW0001", item.head.span, "`weights` takes no block of statements")
    if item.otherwise is not None:
        context.report.error("HW0001", item.span, "the condition of `weights` takes no `else`", "write a second line")
    if dtype is None or reader.failed or not fine:
        return None
    names = tuple(dict.fromkeys(name.text.removeprefix("ai.onnx::") for name in operators))
    return WeightFormat(
        dtype=dtype.text, block=block, symmetric="symmetric" in seen, activations=activations, operators=names,
        widened="widened" in seen, where=where, origin=item.head.span.origin,
    )  # fmt: skip


def _dtype(reader: Reader, known: tuple[str, ...], help: str) -> Arg | None:
    arg = reader.take("word", f"a dtype ({', '.join(known)})")
    if arg is None or arg.text in known:
        return arg
    reader.failed = True
    what = f"`{arg.text}` cannot stand here" if arg.text in DTYPES else f"unknown dtype `{arg.text}`"
    meant = OTHER_NAMES.get(arg.text.lower(), "")
    help = f"did you mean `{meant}`?" if meant in known else f"{help} {', '.join(known)}"
    reader.report.error("HW0306", arg.span, what, help)
    return None


def _block(reader: Reader, context: Context) -> int | None:
    quantity = reader.take_number("plain number", provenance=False)
    if quantity is None:
        return None
    if quantity.value != int(quantity.value) or not 2 <= quantity.value <= LARGEST_BLOCK:
        reader.failed = True
        message = f"a block has from 2 to {LARGEST_BLOCK} elements, a whole number"
        context.report.error("HW0108", quantity.span, message, "write for example `block 32`, or leave it out for one scale a channel")
        return None
    return int(quantity.value)
