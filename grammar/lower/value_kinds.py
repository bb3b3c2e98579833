"""What kind of value each side of a comparison has, and the comparisons that can never hold because the kinds differ."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...targets import formula as ex
from ...targets.dtypes import BITS
from ..words.names import suggested_dtype, suggestion_or_list

COUNTS = frozenset({"rank", "dim", "all_dims", "elements", "length", "count", "channel_axis", "block", "zero_point"})
"""Questions that are answered with a whole number that is no number of bytes."""
_AUTO_PAD = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_LSTM = ("forward", "reverse", "bidirectional")
VALUES: Mapping[str, tuple[str, ...]] = {
    "auto_pad": _AUTO_PAD,
    "approximate": ("none", "tanh"),
    "direction": (*_LSTM, "LEFT", "RIGHT"),
    "coordinate_transformation_mode": (
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn",
        "tf_crop_and_resize", "output_half_pixel",
    ),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    "padding_mode": ("zeros", "border", "reflection"),
}  # fmt: skip
"""The values that an attribute of this name may have, where the schemas give them in words only. `mode` differs between operators."""


def kind_of(value: ex.Expression, types: Mapping[str, str]) -> str:
    """ "number", "word", "list" or "dtype"; "" where it is not known. `types`: of the operator's attributes."""
    match value:
        case ex.Number() | ex.Binary(operator="+" | "-" | "*" | "/" | "^") | ex.Unary(operator="-"):
            return "number"
        case ex.Text(value=text):
            return "dtype" if text in BITS else "word"
        case ex.Listing() | ex.Call(function="shape"):
            return "list"
        case ex.Call(function="dtype") | ex.Name(name="dtype"):
            return "dtype"
        case ex.Call(function=function) if function in COUNTS or function in ("bytes", "scale"):
            return "number"
        case ex.Name(name="rank" | "elements" | "bytes" | "last_dim" | "opset"):
            return "number"
        case ex.Attribute(name=name):
            return _KINDS.get(types.get(name, ""), "")
        case ex.Call(function="all" | "item", arguments=(ex.Attribute(name=name), *_)):
            return {"ints": "number", "floats": "number", "strings": "word"}.get(types.get(name, ""), "")
    return ""


_KINDS = {"int": "number", "float": "number", "string": "word", "ints": "list", "floats": "list", "strings": "list"}


def mismatch(asked: ex.Expression, given: ex.Expression, types: Mapping[str, str]) -> tuple[str, str] | None:
    """(what is wrong, what to write) with a comparison of the two; None if they may be compared."""
    kinds = kind_of(asked, types), kind_of(given, types)
    left, right = ex.render(asked), ex.render(given)
    if isinstance(asked, ex.Attribute) and kinds[1] == "dtype" and isinstance(given, ex.Text):
        kinds = kinds[0], "word"  # a word is what the attribute makes of it
    if "" in kinds or kinds[0] == kinds[1]:
        return None
    message = f"`{left}` is a {kinds[0]} and `{right}` a {kinds[1]}"
    if kinds == ("list", "number") and isinstance(asked, ex.Attribute):
        return message, f"compare all its values, `all({left})`, or one, `item({left}, 0)`"
    if kinds[0] == "number" and isinstance(given, ex.Text) and given.value.replace(".", "", 1).isdigit():
        return message, f"numbers are written without quotes: `{given.value}`"
    if kinds[0] == "dtype" and isinstance(given, ex.Text):
        return message, suggested_dtype(given.value)
    return message, f"compare it with a {kinds[0]}"


def never_equal(operator: str, asked: ex.Expression, given: ex.Expression) -> tuple[str, str] | None:
    """(what is wrong, what to write) where kinds agree and the value still is none that can occur."""
    match asked, given:
        case ex.Call(function=function), ex.Number(value=number, text=text) if function in COUNTS:
            if not text.replace(".", "", 1).isdigit() and text.endswith("B"):
                return (
                    f"`{ex.render(asked)}` is not a number of bytes, but `{text}` is",
                    "write the number without a unit, or use `bytes(X)`",
                )
            if operator == "==" and math.isfinite(number) and number != int(number):
                return f"`{ex.render(asked)}` is a whole number, never {text}", f"write {int(number)}, or a comparison with `<=`"
        case ex.Attribute(name=name), ex.Text(value=text) if name in VALUES and text not in VALUES[name]:
            return f"`attr.{name}` is never `{text}`", suggestion_or_list(text, VALUES[name])
    return None
