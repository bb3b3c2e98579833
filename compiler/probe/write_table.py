"""An operator table out of a runtime's answers, as .hw text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...targets.dtypes import FLOATS
from ...targets.formula import render
from ...targets.operator_view import OperatorView
from ...targets.support import data_dtypes
from .choose import ProbedCase
from .conditions import exact_condition_of, separating


def table_text(name: str, answers: Sequence[ProbedCase], narrow: str, provenance: Sequence[str]) -> str:
    """`table NAME { supports … deny … }` after a comment that says where it comes from. Operators of which nothing worked are listed
    in comments with the runtime's words. `narrow`: the dtype in which the runtime computes any float, "" for the operand's own."""
    lines = ["hw 1;", "", *(f"// {line}" for line in provenance), "", f"table {name} {{", "  static_shapes yes;"]
    by_dtype: dict[str, dict[str, list[ProbedCase]]] = {}
    for answer in answers:
        by_dtype.setdefault(compute_dtype(answer.case.view, narrow), {}).setdefault(answer.case.operator, []).append(answer)
    denied: list[str] = []
    for dtype, operators in by_dtype.items():
        lines += ["", *_block(dtype, operators, denied)]
    if denied:
        lines += ["", "  deny {", *dict.fromkeys(denied), "  }"]
    return "\n".join((*lines, "}", ""))


def compute_dtype(view: OperatorView, narrow: str) -> str:
    """The `supports` block whose matter the operator is."""
    dtypes = data_dtypes(view)
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    return narrow or floats[0] if floats else dtypes[0]


def _block(dtype: str, operators: Mapping[str, Sequence[ProbedCase]], denied: list[str]) -> list[str]:
    lines, nothing = [f"  supports {dtype} {{"], []
    for operator, answers in sorted(operators.items()):
        right = [answer.case.view for answer in answers if not answer.fault]
        wrong = {id(answer.case.view): answer for answer in answers if answer.fault}
        count = f"{len(right)} of {len(answers)} cases"
        if not right:
            nothing.append(f"    // {operator}: {_brief(answers[0].fault)}")
            continue
        where, left = separating(right, [answer.case.view for answer in wrong.values()])
        condition = f" where {render(where)}" if where is not None else ""
        lines.append(f"    {operator}{condition};  // {count}")
        denied += [_denial(operator, wrong[id(view)]) for view in left]
    return [*lines, *nothing, "  }"]


def _denial(operator: str, answer: ProbedCase) -> str:
    where = exact_condition_of(answer.case.view)
    return f"    {operator}{f' where {render(where)}' if where is not None else ''};  // {_brief(answer.fault)}"


def _brief(text: str) -> str:
    """One line that can stand in a comment."""
    return " ".join(text.split())[:160]
