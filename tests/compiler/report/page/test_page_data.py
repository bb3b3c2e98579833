"""What the page shows is what the bundle says: the manifest as it is, sums of it, and the segment files' operators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
from page_bundles import BUNDLES, made

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.phase_record import PhaseRecord, PhasesRecord
from autoglmc.compiler.report.page.drawings import HEIGHT, device_colours, draw_arena, draw_places, draw_timeline
from autoglmc.compiler.report.page.page_data import Beside, PageData, page_data
from autoglmc.compiler.report.page.render import embedded, render_page, render_svg
from autoglmc.compiler.run.bundle import Bundle


@pytest.fixture(scope="module", params=BUNDLES, ids="-".join)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(*request.param, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def data(bundle: Path) -> PageData:
    return page_data(Bundle.load(bundle))


def written(bundle: Path) -> Any:
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_the_manifest_is_there_as_it_is(bundle: Path, data: PageData) -> None:
    assert data["manifest"] == written(bundle)


def test_the_page_has_no_other_data(data: PageData) -> None:
    page = render_page(data)
    start = page.index('id="page-data">') + len('id="page-data">')
    assert json.loads(page[start : page.index("</script>", start)]) == json.loads(json.dumps(data))


def test_models_that_take_turns_are_told_of(bundle: Path) -> None:
    taken = {"vision": 3 << 20, "text": 2 << 20}
    each = tuple(PhaseRecord(model=name, running={"dram": held}, loading={"dram": 2 * held}) for name, held in taken.items())
    phases = PhasesRecord(at_once={"dram": 4 << 20, "<b>": 7}, each=each)
    data = page_data(Bundle.load(bundle), Beside(phases=phases))
    assert data["phases"] == [
        "vision is given back before text runs: 2.0 MiB of dram and 7 B of <b>",
        "dram: 3.0 MiB with vision (6.0 MiB while it is loaded), 2.0 MiB with text (4.0 MiB while it is loaded); "
        "4.0 MiB if all were there at once",
        "<b>: 0 B with vision (0 B while it is loaded), 0 B with text (0 B while it is loaded); 7 B if all were there at once",
        "a step of one opens it and closes the other, which takes as long as loading does",
    ]
    page = render_page(data)
    assert "take turns in memory" in page and "7 B of &lt;b&gt;" in page and "7 B of <b>" not in page.partition('id="page-data"')[0]


def test_sums_are_those_of_the_manifest(bundle: Path, data: PageData) -> None:
    manifest, predicted = written(bundle), data["predicted"]
    assert sum(one["bytes"] for one in data["package"]) == sum(one["size"] for one in manifest["files"].values())
    assert sum(one["files"] for one in data["package"]) == len(manifest["files"])
    compiled = [one["size"] for one in manifest["files"].values() if one["compiled_from"]]
    assert sum(one["bytes"] for one in data["package"] if one["what"] == "compiled ahead of time") == sum(compiled)
    assert predicted["segment_seconds"] == sum(one["predicted_seconds"] for one in manifest["segments"])
    assert predicted["handoff_seconds"] == sum(one["seconds"] for one in manifest["handoffs"])
    assert predicted["seconds"] == predicted["segment_seconds"] + predicted["handoff_seconds"]
    assert predicted["seconds"] == Bundle.load(bundle).graph().graph["seconds"]


def test_the_schedule_has_every_segment_and_handoff_once(bundle: Path, data: PageData) -> None:
    """In the manifest's order, none before the last one's end, each as long as the manifest says."""
    manifest, spans = written(bundle), data["predicted"]["spans"]
    steps = [step["segment"] for step in manifest["schedule"] if step["segment"] is not None]
    assert [one["segment"] for one in spans if one["kind"] == "run"] == steps
    assert sorted(one["handoff"] for one in spans if one["kind"] != "run") == list(range(len(manifest["handoffs"])))
    assert spans[0]["begin"] == 0 and all(a["end"] == b["begin"] for a, b in pairwise(spans))
    for one in spans:
        expected = (
            manifest["segments"][one["segment"]]["predicted_seconds"]
            if one["kind"] == "run"
            else manifest["handoffs"][one["handoff"]]["seconds"]
        )
        assert one["end"] - one["begin"] == pytest.approx(expected, abs=1e-12)
        if one["kind"] != "run":
            mode, reader = (manifest["handoffs"][one["handoff"]][key] for key in ("mode", "consumer"))
            assert one["kind"] == mode
            before = [later["lane"] for later in spans[spans.index(one) :] if later["kind"] == "run" and later["lane"] == reader]
            assert before or one["step"] >= len(steps)  # the host reads outputs when all has run


def test_operators_are_those_of_the_segment_files(bundle: Path, data: PageData) -> None:
    manifest = written(bundle)
    for segment in manifest["segments"]:
        graph = onnx.load(bundle / segment["file"], load_external_data=False).graph
        mine = [one for one in data["operators"] if one[0] == segment["index"]]
        assert [(one[2], one[3]) for one in mine] == [(node.op_type, node.domain) for node in graph.node]
        assert [[data["tensors"][k][0] for k in one[6]] for one in mine] == [[name for name in node.output if name] for node in graph.node]
        assert all(
            set(filter(None, node.input)) <= {data["tensors"][k][0] for k in one[5]} for one, node in zip(mine, graph.node, strict=True)
        )
        shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.output}
        found = {name: shape for name, _, shape in data["tensors"]}
        assert all(found[name] == shape for name, shape in shapes.items() if name in found)
        assert [one[1] for one in mine if one[1] is not None and one[4] not in segment["kernels"][one[1]]] == []


def test_the_graph_joins_what_the_manifest_joins(bundle: Path, data: PageData) -> None:
    manifest, graph = written(bundle), data["graph"]
    names = {node["id"] for node in graph["nodes"]}
    assert {f"segment {one['index']}" for one in manifest["segments"]} <= names
    assert {edge["handoff"] for edge in graph["edges"]} - {None} <= set(range(len(manifest["handoffs"])))
    for edge in graph["edges"]:
        assert {edge["source"], edge["target"]} <= names
        if edge["handoff"] is not None:
            assert edge["tensors"] == [manifest["handoffs"][edge["handoff"]]["tensor"]]


def test_everything_is_drawn_within_its_drawing(data: PageData) -> None:
    """A box for each span, slot and place; as wide as it lasts, as high as it is large; none over the edge."""
    manifest = data["manifest"]
    colours = device_colours(manifest)
    timeline = draw_timeline(data["predicted"], colours)
    arena = draw_arena(manifest["arena"], len(manifest["schedule"]), colours)
    places = [drawing for segment in manifest["segments"] for drawing in draw_places(segment)]
    several = [segment["memories"]["places"] for segment in manifest["segments"] if segment["memories"]]
    assert len(timeline.boxes) == len(data["predicted"]["spans"]) and len(arena.boxes) == len(manifest["arena"]["slots"])
    assert sum(len(one.boxes) for one in places) == sum(map(len, several))
    assert bool(places) == ("board" in data["name"])
    for drawing in (timeline, arena, *places):
        assert drawing.left_out == 0
        for box in drawing.boxes:
            assert drawing.left - 0.01 <= box.x and box.x + box.width <= drawing.right + 1
            assert box.y >= 0 and box.y + box.height <= drawing.height
    for box, slot in zip(arena.boxes, manifest["arena"]["slots"], strict=True):
        if slot["bytes"] * HEIGHT / manifest["arena"]["total"] > 1:
            assert box.height == pytest.approx(slot["bytes"] * HEIGHT / manifest["arena"]["total"], abs=0.01)


def test_equal_bundles_give_equal_bytes(bundle: Path, data: PageData) -> None:
    assert render_page(page_data(Bundle.load(bundle))) == render_page(data)


def test_embedded_json_cannot_end_its_script() -> None:
    text = embedded({"name": "</script><!--<script>&\u2028\u202e", "n": [1.5, None, True]})
    assert not set("<>&") & set(text) and text.isascii()
    assert json.loads(text) == {"name": "</script><!--<script>&\u2028\u202e", "n": [1.5, None, True]}


@pytest.mark.parametrize("drawing", ["partition", "timeline", "memory"])
def test_a_drawing_is_a_file_of_its_own(drawing: str, bundle: Path, data: PageData, tmp_path: Path) -> None:
    """XML, with a box for each segment, span or slot."""
    file = tmp_path / "drawing.svg"
    assert cli.run(["report", str(bundle), "--svg", drawing, "-o", str(file), "--quiet"]) == 0
    root = ElementTree.parse(file).getroot()
    manifest = data["manifest"]
    boxes = {"partition": manifest["segments"], "timeline": data["predicted"]["spans"], "memory": manifest["arena"]["slots"]}[drawing]
    assert len(root.findall("{*}rect" if drawing == "partition" else "{*}g[@class='box']")) == len(boxes)
    assert file.read_text(encoding="utf-8") == render_svg(data, drawing)


def test_the_command_writes_the_page(bundle: Path, data: PageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert cli.run(["report", str(bundle), "-o", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(data))
    assert page.read_text(encoding="utf-8") == render_page(data)
    assert cli.run(["report", str(bundle), "-o", str(tmp_path / "model.onnx")]) == 2
    assert cli.run(["report", str(page)]) == 1  # no bundle
