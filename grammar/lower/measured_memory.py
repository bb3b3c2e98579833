"""`memory …;` of a calibration: what a process takes beside what a plan knows of."""

from __future__ import annotations

from ...targets.calibration import MemoryModel
from ..text.syntax import Arg
from .measured_line import Line
from .operators import check_operator

NEEDED = ("base", "weights", "working")
OF_OPERATORS = ("weights", "buffers")
"""What an operator may have of its own."""


def lower_memory(line: Line) -> MemoryModel | None:
    """The model; None if something was wrong, and reported."""
    line.path += ".memory"
    found: dict[str, float] = {}
    own: dict[str, dict[str, float]] = {word: {} for word in OF_OPERATORS}
    while word := line.reader.take_choice(line.row.words, line.row.choice):
        operator = line.reader.peek() if word.text in OF_OPERATORS else None
        stated = own[word.text] if operator is not None and (operator.kind == "word" or word.text not in NEEDED) else found
        if stated is found:
            value = line.number(line.row.number(word.text)) if line.once(word, found) else None
            if value is None:
                return None
            found[word.text] = value
        elif not _of_operator(line, word, stated):
            return None
        if not line.reader.take_sign(","):
            break
    line.needs(NEEDED, found)
    if line.reader.failed:
        return None
    weights_of, buffers = (tuple(own[word].items()) for word in OF_OPERATORS)
    return MemoryModel(**found, weights_of=weights_of, buffers=buffers, origin=line.statement.head.span.origin)


def _of_operator(line: Line, word: Arg, stated: dict[str, float]) -> bool:
    """`Gather 0 %` into `stated`; False if it was wrong, and reported."""
    operator = line.reader.take("word", "an operator")
    name = "" if operator is None else operator.text.removeprefix("ai.onnx::")
    if operator is None or not check_operator(operator, line.context, in_range=False):
        line.reader.failed = True
        return False
    if not line.once(operator, {operator.text} if name in stated else ()):
        return False
    value = line.number(line.row.number(word.text), f"{name}.{word.text}")
    if value is None:
        return False
    stated[name] = value
    return True
