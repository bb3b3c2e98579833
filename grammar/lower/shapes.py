"""`shapes { decode: seq 1; prefill: seq 16, 64, 256; }`: the sizes that a deployment runs dynamic dims at, by name."""

from __future__ import annotations

from ...targets.model import Bucket
from ..text.syntax import Arg, Statement
from ..words.reader import Reader
from .context import Context

LARGEST = 2**31 - 1


def lower_shapes(statement: Statement, context: Context) -> tuple[Bucket, ...]:
    """The buckets; those with a mistake are left out, and reported."""
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, "`shapes` needs a block, as in `shapes { decode: seq 1; }`")
        return ()
    buckets = [_bucket(item, context) for item in statement.body if isinstance(item, Statement)]
    return tuple(bucket for bucket in buckets if bucket is not None)


def _bucket(item: Statement, context: Context) -> Bucket | None:
    """`prefill: batch 1, seq 16, 64, 256;`: a comma goes on with another size of the dim, or with another dim."""
    reader = Reader(item, context.report)
    name = item.head
    if reader.take_sign(":") is None:
        reader.fail("a `:` after its name, as in `decode: seq 1;`")
        return None
    dims: dict[str, list[int]] = {}
    while True:
        dim = reader.take("word", "a dim and its sizes, as in `decode: batch 1, seq 1;`")
        sizes, more = _sizes(reader, context) if dim is not None else ([], False)
        if dim is None or not sizes:
            return None
        if dim.text in dims:
            context.report.error("HW0103", dim.span, f"the dim `{dim.text}` is set twice in `{name.text}`")
        dims.setdefault(dim.text, sizes)
        if not more:
            break
    reader.end()
    _plain(item, context)
    several = [dim for dim, sizes in dims.items() if len(sizes) > 1]
    if len(several) > 1:
        message = (
            f"`{name.text}` leaves {' and '.join(f'`{dim}`' for dim in several)} open: only one dim of a bucket may have several sizes"
        )
        context.report.error("HW0009", name.span, message, "write one bucket for each combination you need")
    if reader.failed or item.where is not None or item.body is not None or len(several) > 1:
        return None
    return Bucket(name=name.text, sizes=tuple((dim, tuple(sizes)) for dim, sizes in dims.items()), origin=name.span.origin)


def _plain(item: Statement, context: Context) -> None:
    if item.where is not None or item.body is not None:
        span = item.where.span if item.where is not None else item.head.span
        context.report.error("HW0001", span, "a shape bucket takes neither a condition nor a block")


def _sizes(reader: Reader, context: Context) -> tuple[list[int], bool]:
    """`16, 64, 256`, and whether a comma and another dim follow; no sizes if something was wrong and reported."""
    found: list[int] = []
    while True:
        number = reader.take("number", "a size, a whole number")
        if number is None:
            return [], False
        if not _whole(number):
            reader.failed = True
            context.report.error("HW0108", number.span, f"a size must be a whole number from 1 to {LARGEST}, not {number.text}")
            return [], False
        found.append(int(number.text))
        comma = reader.take_sign(",")
        following = reader.peek()
        if comma is None or (following is not None and following.kind == "word"):
            return list(dict.fromkeys(found)), comma is not None


def _whole(number: Arg) -> bool:
    return number.text.isdigit() and len(number.text) < 12 and 1 <= int(number.text) <= LARGEST
