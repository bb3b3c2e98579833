"""What a target says about forms, `prefer`, `keep` and `weights`, as data and as the entries that two targets are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...targets.formula import render
from ...targets.origin import Origin
from ...targets.precision import Keep, Precision, Prefer, WeightFormat

Entry = tuple[str, str, Origin]
"""(subject, text, place)"""


def precision_json(precision: Precision) -> dict[str, Any]:
    """Every statement of one `precision` block, lines in their order."""
    return {
        "default": precision.default,
        "compute": [list(pair) for pair in precision.compute],
        "keep": [list(line) for line in precision.keep],
        "prefers": [{"form": line.form, "most_loss": line.most_loss, **_about(line)} for line in precision.prefers],
        "keeps": [{"form": line.form, **_about(line)} for line in precision.keeps],
    }


def weights_json(lines: Iterable[WeightFormat]) -> list[dict[str, Any]]:
    return [
        {
            "dtype": line.dtype,
            "block": line.block,
            "symmetric": line.symmetric,
            "activations": line.activations,
            "operators": list(line.operators),
            "where": None if line.where is None else render(line.where),
            "origin": _place(line.origin),
        }
        for line in lines
    ]


def precision_entries(prefers: Sequence[Prefer], keeps: Sequence[Keep]) -> Iterator[Entry]:
    """ "prefer a8w8" and "keep Softmax", each with its lines in order; "order of preference" where there are several forms."""
    for form in dict.fromkeys(line.form for line in prefers):
        lines = [line for line in prefers if line.form == form]
        yield f"prefer {form}", _joined(map(_preferred, lines)), lines[0].origin
    if len({line.form for line in prefers}) > 1:
        said = (" ".join((line.form, ", ".join(line.operators))).strip() for line in prefers)
        yield "order of preference", _joined(said), prefers[0].origin
    for operator in dict.fromkeys(name for line in keeps for name in line.operators):
        kept = [line for line in keeps if operator in line.operators]
        yield f"keep {operator}", _joined(f"{line.form}{_on(line)}{_where(line)}" for line in kept), kept[0].origin


def weights_entries(lines: Sequence[WeightFormat]) -> Iterator[Entry]:
    """ "weights int4" with its lines in order."""
    for dtype in dict.fromkeys(line.dtype for line in lines):
        same = [line for line in lines if line.dtype == dtype]
        yield f"weights {dtype}", _joined(map(_stored, same)), same[0].origin


def _preferred(line: Prefer) -> str:
    loss = "" if line.most_loss is None else f"loss <= {line.most_loss * 100:.10g} %"
    rest = "" if line.where is None else render(line.where)
    where = " and ".join(part for part in (loss, f"({rest})" if loss and " or " in rest else rest) if part)
    return f"{', '.join(line.operators) or 'always'}{_on(line)}{f' where {where}' if where else ''}"


def _stored(line: WeightFormat) -> str:
    words = [f"block {line.block}"] if line.block else ["a scale a channel"]
    words += ["symmetric"] if line.symmetric else []
    words += [f"for {line.activations}"] if line.activations else []
    return f"{', '.join(words)}: {', '.join(line.operators) or 'always'}{_where(line)}"


def _on(line: Prefer | Keep) -> str:
    return f" on {line.device}" if line.device else ""


def _where(line: Keep | WeightFormat) -> str:
    return "" if line.where is None else f" where {render(line.where)}"


def _joined(texts: Iterable[str]) -> str:
    return ", then ".join(texts)


def _about(line: Prefer | Keep) -> dict[str, Any]:
    where = None if line.where is None else render(line.where)
    return {"operators": list(line.operators), "device": line.device, "where": where, "origin": _place(line.origin)}


def _place(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line, "column": origin.column}
