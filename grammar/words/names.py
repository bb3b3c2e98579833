""" "Did you mean": suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str], short: bool = False) -> str:
    """The known name that was probably meant, or "".

    Words of three letters or fewer get none (`cpu` would suggest `npu`) unless `short`.
    """
    names = list(dict.fromkeys(known))
    folded = {name.lower(): name for name in reversed(names)}
    if word.lower() in folded:
        return folded[word.lower()]
    if len(word) <= 3 and not short:
        return ""
    from difflib import get_close_matches  # only a file with a mistake needs it

    close = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(word.lower(), folded, n=1, cutoff=0.7)
    return folded.get(close[0], close[0]) if close else ""


def suggestion(word: str, known: Iterable[str], short: bool = False) -> str:
    """ "did you mean `GB/s`?" or ""."""
    name = closest(word, known, short)
    return f"did you mean `{name}`?" if name else ""


def suggestion_or_list(word: str, known: Iterable[str], short: bool = False) -> str:
    """The suggestion, else the known names if they are few."""
    names = sorted(known)
    found = suggestion(word, names, short)
    if found or len(names) > 16 or not names:
        return found
    return f"known here: {', '.join(names)}"


def suggested_dtype(word: str) -> str:
    """What another language calls the dtype, else the nearest name, else all."""
    from ...targets.dtypes import BITS, OTHER_NAMES

    other = OTHER_NAMES.get(word.lower())
    return f"did you mean `{other}`?" if other else suggestion(word, BITS) or f"known here: {', '.join(BITS)}"
