"""Conditions that can never hold, whatever the operator: a quick test of their conjuncts."""

from __future__ import annotations

from ...targets import formula as ex


def contradiction(condition: ex.Expression) -> str:
    """Two conjuncts that cannot both hold, in words; "" if none was found (this is a quick test, not a proof)."""
    bounds: dict[str, tuple[float, float, str, str]] = {}
    stated: dict[str, bool] = {}
    parts = ex.conjuncts(condition)
    if len(parts) == 1 and not isinstance(condition, ex.Between):  # alone, only a range may hold nothing
        return ""
    for part in parts:
        text = ex.render(part)
        plain, wanted = (ex.render(part.operand), False) if isinstance(part, ex.Unary) and part.operator == "not" else (text, True)
        if stated.setdefault(plain, wanted) is not wanted:
            return f"`{plain}` and `not {plain}`"
        asked = _interval(part)
        if asked is None:
            continue
        question, low, high = asked
        if low > high:
            return f"`{text}`"
        old_low, old_high, low_text, high_text = bounds.get(question, (-float("inf"), float("inf"), "", ""))
        if low > old_high:
            return f"`{high_text}` and `{text}`"
        if high < old_low:
            return f"`{low_text}` and `{text}`"
        bounds[question] = (
            max(low, old_low), min(high, old_high), text if low >= old_low else low_text, text if high <= old_high else high_text
        )  # fmt: skip
    return ""


def _interval(part: ex.Expression) -> tuple[str, float, float] | None:
    """(question, least, greatest) of a comparison of a question with a number; quantified questions may have no values at all."""
    top = float("inf")
    match part:
        case ex.Between(value=value, low=ex.Number(value=low), high=ex.Number(value=high)):
            return ex.render(value), low, high
        case ex.Binary(operator=operator, left=(ex.Call() | ex.Attribute() | ex.Name()) as asked, right=ex.Number(value=number)):
            if isinstance(asked, ex.Call) and asked.function in ("all_dims", "all"):
                return None
            below, above = (number - 1e-9 * max(1.0, abs(number)), number + 1e-9 * max(1.0, abs(number)))
            limits = {"==": (number, number), "<=": (-top, number), "<": (-top, below), ">=": (number, top), ">": (above, top)}
            return (ex.render(asked), *limits[operator]) if operator in limits else None
        case _:
            return None
