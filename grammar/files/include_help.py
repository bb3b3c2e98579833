"""Which file to include: help for an `include` that finds nothing, and for a name that stands in a file that was not included."""

from __future__ import annotations

from pathlib import Path

from ...targets.stock import FOLDER as STOCK
from ..text.diagnostics import Source
from ..words.names import closest

MOST_FILES = 1000


def where_it_is(name: str, kind: str, more: tuple[str, ...] = ()) -> str:
    """`write `include "a16.hw";`` for a stock target (kind "") or stock table (kind "std/") of that name or nearly; "" if there is none.

    `more`: names already in sight, of which the nearest is preferred where `name` is none of ours."""
    stock = tuple(path.stem for path in (STOCK / kind).glob("*.hw"))
    if name in stock:
        return f'it is not included: write `include "{kind}{name}.hw";`'
    near = closest(name, (*more, *stock))
    return f'did you mean `{near}`? Write `include "{kind}{near}.hw";`' if near in stock and near not in more else ""


def did_you_mean_file(written: str, source: Source) -> str:
    """What an `include` of a file that is not there may have meant, else the stock files."""
    stock = sorted(path.relative_to(STOCK).as_posix() for folder in (STOCK, STOCK / "std") for path in folder.glob("*.hw"))
    try:
        beside = [path.name for _, path in zip(range(MOST_FILES), Path(source.name).parent.glob("*.hw"), strict=False)]
    except OSError:
        beside = []
    near = f"{written}.hw" if f"{written}.hw" in (*beside, *stock) else closest(written, (*beside, *stock))
    if near and near != Path(source.name).name:
        return f'did you mean `include "{near}";`?'
    return f"files are searched for beside this one and among the stock files: {', '.join(stock)}"


def include_of_its_file() -> str:
    """Help for a target of which nothing is known."""
    shipped = ", ".join(sorted(path.stem for path in STOCK.glob("*.hw")))
    return f'include the file it is in, `include "other.hw";`; stock files: {shipped}'
