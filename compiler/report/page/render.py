"""The page itself: templates filled with page data, and everything that it needs embedded."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ...quantities import amount, count, margin, percent, shown, size, time
from ..printable import printable
from .draw_partition import draw_partition
from .drawings import device_colours, draw_arena, draw_places, draw_timeline
from .limit_bars import limit_bars
from .memory_rows import heaviest, memory_rows

if TYPE_CHECKING:
    import jinja2

SCRIPTS = ("vendor/cytoscape.min.js", "vendor/dagre.min.js", "page.js", "details.js", "partition.js")
"""In the order in which the page runs them."""
LICENCES = ("vendor/cytoscape.LICENSE.txt", "vendor/dagre.LICENSE.txt")
MAP_COMMENT = re.compile(r"\n//# sourceMappingURL=\S+\s*$")
MOST_MAPS = 12
"""Drawings of segments' memories."""
MOST_UNITS = 200
"""Rows of the table of forms."""


def render_page(data: Mapping[str, Any]) -> str:
    """The HTML of one file that needs no other: equal data, equal bytes."""
    scripts = [MAP_COMMENT.sub("\n", _text(name)) for name in SCRIPTS]
    files = {
        "scripts": [_markup(script) for script in scripts],
        "digests": [_digest(script) for script in scripts],
        "style": _markup(_text("drawing.css") + _text("page.css")),
        "licences": [_text(name) for name in LICENCES],
    }
    page = _environment().get_template("page.html")
    return page.render(data=data, m=data["manifest"], json_data=_markup(embedded(data)), **files, **_drawn(data))


def render(template: str, **values: Any) -> str:
    """Another page in the same style, without scripts."""
    return _environment().get_template(template).render(style=_markup(_text("drawing.css") + _text("page.css")), **values)


def _drawn(data: Mapping[str, Any]) -> dict[str, Any]:
    manifest, measured = data["manifest"], data["measured"]
    colours = device_colours(manifest)
    together = max([data["predicted"]["seconds"], *(one["lines"][0]["seconds"] for one in measured)])
    maps = [drawing for segment in manifest["segments"] for drawing in draw_places(segment)]
    return {
        "limits": limit_bars(manifest["limits"]),
        "memories": memory_rows(data),
        "heaviest": heaviest(data),
        "most_units": MOST_UNITS,
        "writers": {port["tensor"]: segment["index"] for segment in manifest["segments"] for port in segment["outputs"]},
        "timeline": draw_timeline(data["predicted"], colours, scale_to=together if measured else None),
        "measured": [_measured(one, colours, together) for one in measured],
        "arena": draw_arena(manifest["arena"], len(manifest["schedule"]), colours),
        "maps": maps[:MOST_MAPS],
        "maps_left": max(len(maps) - MOST_MAPS, 0),
        "colours": colours,
        "modes": sorted({handoff["mode"] for handoff in manifest["handoffs"]}),
    }


def _measured(one: Mapping[str, Any], colours: Mapping[str, str], together: float) -> list[Any]:
    """The drawings of a record: one request on the scale of the predicted one, several on their own."""
    first, *more = one["lines"]
    return [draw_timeline(first, colours, first["title"], together), *(draw_timeline(line, colours, line["title"]) for line in more)]


def render_svg(data: Mapping[str, Any], which: str) -> str:
    """A drawing of the page as an SVG file. which: partition (segments by device), timeline (the predicted schedule) or memory (the arena).
    Equal data, equal bytes; what was measured is not in it."""
    if which == "partition":
        return draw_partition(data)
    colours = device_colours(data["manifest"])
    if which == "timeline":
        drawing = draw_timeline(data["predicted"], colours)
    else:
        drawing = draw_arena(data["manifest"]["arena"], len(data["manifest"]["schedule"]), colours)
    return _environment().get_template("drawing.svg").render(drawing=drawing, standalone=_markup(_text("drawing.css"))) + "\n"


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that may stand in an HTML script element, whatever names hold: no `<`, `>` or `&`, only ASCII."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    loader = jinja2.FunctionLoader(lambda name: _text(f"templates/{name}"))
    found = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    numbers = {"size": size, "time": time, "percent": percent, "amount": amount, "shown": shown, "margin": margin, "count": count}
    found.filters.update(numbers, name=printable, shape=_shape)
    return found


def _shape(shape: list[int] | None) -> str:
    return "unknown until it runs" if shape is None else " × ".join(str(extent) for extent in shape) or "scalar"


def _markup(text: str) -> Any:
    """Of our own files, or escaped for where it stands."""
    import markupsafe

    return markupsafe.Markup(text)


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Of a script as a content security policy names it: the browser runs no other."""
    return base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()
