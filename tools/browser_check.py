"""Opens pages of `report` in a headless Chromium, uses them, and times them: ten models for three targets, and two large models.

python tools/browser_check.py [--pictures FOLDER] [--only use|time]

use: every section renders, clicks and filters work, the console stays empty, nothing is asked of a network.
time: size of the page of 2,000 operators; of 10,000 the first paint, the end of loading and a step of zoom, medians of 20, as the browser's
own clock and trace have them.
Needs the extra `browser` and /usr/bin/chromium. Exits with 1 where something fails or is over its limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import large_graphs  # noqa: E402
from memory_boards import random_net  # noqa: E402
from page_bundles import gelu, hostile  # noqa: E402
from quantised_models import convolutions  # noqa: E402
from shown_page import CHROMIUM, QUIET, Shown, use  # noqa: E402

from autoglmc.compiler.driver.compile_model import compile_model  # noqa: E402
from autoglmc.compiler.errors import UserError  # noqa: E402
from autoglmc.compiler.explain.explain_operators import explain_operators  # noqa: E402
from autoglmc.compiler.hw.load_target import load_target  # noqa: E402
from autoglmc.compiler.load.source import source_of  # noqa: E402
from autoglmc.compiler.report.page.page_data import Beside, page_data  # noqa: E402
from autoglmc.compiler.report.page.render import render_page  # noqa: E402
from autoglmc.compiler.report.quote import source_of as lines_of  # noqa: E402

FILES = ROOT / "tests" / "models"
Shapes = Mapping[str, Any]
TARGETS = ("a16", "tensor_g2", "snapdragon_8gen3")
MODELS: Mapping[str, tuple[Callable[[], Any], Shapes]] = {
    "lightnet": (lambda: FILES / "lightnet.onnx", {"batch": 1}),
    "bert_tiny": (lambda: FILES / "bert_tiny.onnx", {"batch": 1, "seq": 32}),
    "glm_tiny": (lambda: FILES / "glm_tiny.onnx", {"batch": 1, "seq": 32}),
    "decoder_tiny": (lambda: FILES / "decoder_tiny.onnx", {"batch": 1, "seq": 8, "past": 8, "total": 16}),
    "half_mlp_gelu": (lambda: FILES / "half_mlp_gelu.onnx", {}),
    "gelu": (gelu, {}),
    "hostile": (hostile, {}),
    "convolutions": (convolutions, {}),
    "random_net_1": (lambda: random_net(1), {}),
    "residual_300": (lambda: large_graphs.residual(300), {}),
}
TIMES = 20
"""Loads, and steps of zoom, of which a median is taken."""
MOST_PAINT, MOST_ZOOM, MOST_BYTES = 3.0, 0.150, 3_000_000
"""Seconds until a page of 10,000 operators is loaded, and of a step of zoom; bytes of the page of 2,000."""
PICTURES = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)[0] ?? null"
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
LARGEST = """() => {
  const sizes = MANIFEST.segments.map((one) => DATA.operators.filter((each) => each[0] === one.index).length);
  open(MANIFEST.segments[sizes.indexOf(Math.max(...sizes))].index);
}"""
"""Opens the segment with the most operators."""
TRACED = ("devtools.timeline", "disabled-by-default-devtools.timeline", "blink.user_timing", "loading")


def page_of(model: Any, target: str, shapes: Shapes, folder: Path, explained: bool) -> tuple[Path, Any]:
    """The file of a bundle's page, and its data. Raises UserError where the target cannot have the model."""
    machine = load_target(target)
    result = compile_model(model, machine, shapes=shapes, output=folder / "bundle", verify=False)
    why = explain_operators(source_of(model), machine, shapes=shapes, plan=result.work.placement).as_json() if explained else None
    data = page_data(result.bundle, Beside(why=why, source=lines_of(machine), compiled=result.as_json()))
    file = folder / "page.html"
    file.write_text(render_page(data), encoding="utf-8")
    return file, json.loads(json.dumps(data))


def check_use(browser: Any, pictures: Path | None) -> Iterator[str]:
    """Uses every page; a line for each that fails."""
    for name, (made, shapes) in MODELS.items():
        for target in TARGETS:
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                try:
                    file, data = page_of(made(), target, shapes, Path(folder), True)
                    shown = Shown(browser, file, viewport={"width": 1280, "height": 900})
                    use(shown.page, data)
                    assert shown.page.evaluate("typeof window.hurt") == "undefined"
                    shown.check(file)
                    shown.page.close()
                except (AssertionError, UserError) as problem:
                    yield f"{name} for {target}: {type(problem).__name__}: {problem}"
                    continue
                what = f"{len(data['operators'])} operators, {len(data['manifest']['segments'])} segments"
                print(f"{name} for {target}: {what}, {file.stat().st_size:,} bytes, {time.perf_counter() - begun:.1f} s", flush=True)
                if pictures is not None and (name, target) == ("lightnet", "tensor_g2"):
                    take_pictures(browser, file, pictures)


def take_pictures(browser: Any, file: Path, folder: Path) -> None:
    """A picture per section, scheme and width; an operator is chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, scheme in PICTURES:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(file.as_uri())
        page.add_style_tag(content="header { position: static !important; }")
        page.fill("#find", "Gelu")
        page.locator("#list button").first.click()
        for section in ("summary", "partition", "timeline", "memory", "numbers", "history"):
            page.locator(f"#{section}").screenshot(path=folder / f"{section}_{scheme}_{width}.png")
        page.close()


def check_time(browser: Any) -> Iterator[str]:
    """A line for each limit that is not kept."""
    for size in (2000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            file, data = page_of(large_graphs.residual(size), "tensor_g2", {}, Path(folder), size == 2000)
            count, size_of = len(data["operators"]), file.stat().st_size
            print(f"residual: {count} operators, {size_of:,} bytes", flush=True)
            if size == 2000 and size_of > MOST_BYTES:
                yield f"the page of {count} operators has {size_of:,} bytes"
            paints, loads = zip(*(load_times(browser, file) for _ in range(TIMES)), strict=True)
            zooms, longest = zoom_steps(browser, file)
            print(f"  first paint {_spread(paints)}; loaded {_spread(loads)}", flush=True)
            print(f"  a step of zoom {_spread(zooms)}; the longest frame after it {_spread(longest)}", flush=True)
            if size == 10_000 and statistics.median(loads) > MOST_PAINT:
                yield f"the page of {count} operators takes {statistics.median(loads):.2f} s to load"
            if size == 10_000 and max(map(statistics.median, (zooms, longest))) > MOST_ZOOM:
                yield f"a step of zoom with {count} operators takes more than {MOST_ZOOM * 1e3:.0f} ms"


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.0f} ms (median of {len(seconds)}, {min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f})"


def load_times(browser: Any, file: Path) -> tuple[float, float]:
    """Seconds from the navigation to the first contentful paint, and until all scripts have run and the graph is there."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    page.wait_for_function(f"({PAINTED})() !== null && ({LOADED})() > 0")
    found = page.evaluate(PAINTED) / 1e3, page.evaluate(LOADED) / 1e3
    page.close()
    return found


def zoom_steps(browser: Any, file: Path) -> tuple[list[float], list[float]]:
    """Of TIMES turns of the wheel over the largest segment, seconds to the end of the first frame that shows it, and of the longest frame
    until the next turn: while the wheel turns a picture is scaled, then all is drawn anew."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    page.evaluate(LARGEST)
    page.evaluate("document.getElementById('graph').scrollIntoView({ block: 'center' })")
    box = page.locator("#graph").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(500)
    browser.start_tracing(page=page, categories=list(TRACED))
    for turn in range(TIMES):
        page.mouse.wheel(0, 120 if turn % 4 < 2 else -120)
        page.wait_for_timeout(600)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.close()
    found = list(_frames(events))
    return [first for first, _ in found], [longest for _, longest in found]


def _frames(events: list[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """Of each turn. A frame begins with its animation callbacks and ends when it is committed."""
    turns = sorted(one["ts"] for one in events if one["name"] == "EventDispatch" and one["args"]["data"]["type"] == "wheel")
    begins = sorted(one["ts"] for one in events if one["name"] == "FireAnimationFrame")
    ends = sorted(one["ts"] + one.get("dur", 0) for one in events if one["name"] == "Commit")
    frames = [(begin, next((end for end in ends if end >= begin), begin)) for begin in begins]
    for turn, after in zip(turns, [*turns[1:], float("inf")], strict=True):
        mine = [frame for frame in frames if turn <= frame[0] < after]
        if mine:
            yield (mine[0][1] - turn) / 1e6, max(end - begin for begin, end in mine) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="Write a picture of each section to this folder.")
    parser.add_argument("--only", choices=["use", "time"])
    asked = parser.parse_args()
    try:
        from playwright import sync_api
    except ImportError:
        print("playwright is not installed: pip install '.[browser]'", file=sys.stderr)
        return 1
    if not CHROMIUM.exists():
        print(f"{CHROMIUM} is not there: apt-get install chromium", file=sys.stderr)
        return 1
    failed: list[str] = []
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        if asked.only != "time":
            failed += check_use(browser, asked.pictures)
        if asked.only != "use":
            failed += check_time(browser)
        browser.close()
    print("\n".join(failed) or "all kept")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
