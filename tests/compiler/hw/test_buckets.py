"""`shapes { … }` of a target and `--bucket` of compile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hw_layers import BOX
from small_models import DYNAMIC, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.hw.buckets import bucket_flags, bucket_shapes
from autoglmc.compiler.hw.difference import differences
from autoglmc.grammar import analyse_text, parse_target
from autoglmc.grammar.show import show_text
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_path

SHAPES = "shapes { decode: batch 1, seq 1; prefill: seq 16, 64, 256, batch 2; }"
BUCKETS = BOX.replace("  precision", f"  {SHAPES}\n  precision", 1)


@pytest.fixture(scope="module")
def box() -> Target:
    return parse_target(BUCKETS, "box.hw")


def test_they_are_kept_shown_and_compared(box: Target) -> None:
    assert [(bucket.name, bucket.sizes) for bucket in box.shapes] == [
        ("decode", (("batch", (1,)), ("seq", (1,)))), ("prefill", (("seq", (16, 64, 256)), ("batch", (2,)))),
    ]  # fmt: skip
    result = analyse_text(BUCKETS, "box.hw")
    assert result.resolved is not None and parse_target(show_text(result.resolved), "shown.hw").digest == box.digest
    (other,) = differences(box, parse_target(BUCKETS.replace("16, 64, 256", "16, 64"), "box.hw"))
    assert (other.section, other.subject, other.kind) == ("shapes", "prefill", "changed")
    assert not differences(box, parse_target(BUCKETS.replace("16, 64, 256", "256, 64, 16"), "box.hw"))


def test_a_child_replaces_a_bucket_and_keeps_the_others() -> None:
    mine = parse_target(f"{BUCKETS} target mine extends box {{ shapes {{ decode: seq 8; }} }}", "box.hw")
    assert [bucket.name for bucket in mine.shapes] == ["decode", "prefill"] and mine.shapes[0].sizes == (("seq", (8,)),)


def test_choosing_one(box: Target) -> None:
    assert bucket_shapes(box, "decode") == {"batch": 1, "seq": 1}
    assert bucket_shapes(box, "prefill=64") == {"batch": 2, "seq": 64}
    assert bucket_flags(box) == "--bucket decode, --bucket prefill=16, --bucket prefill=64, --bucket prefill=256"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("prefil", "did you mean 'prefill'?"),
        ("prefill", "--bucket prefill=16 or --bucket prefill=64 or --bucket prefill=256"),
        ("prefill=17", "choose of 16, 64, 256"),
        ("decode=1", "write --bucket decode"),
        ("", "has no shape bucket ''"),
    ],
)
def test_wrong_choices(box: Target, wanted: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        bucket_shapes(box, wanted)
    assert words in str(caught.value)


def test_a_target_without_any() -> None:
    with pytest.raises(UsageError, match="has no `shapes` block"):
        bucket_shapes(parse_target(BOX, "box.hw"), "decode")


def test_compiling_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine.hw"
    target.write_text(stock_path("x86_cpu").read_text("utf-8").replace("  memory dram", f"  {SHAPES}\n  memory dram"), "utf-8")
    model = save(parse(DYNAMIC), tmp_path)
    arguments = [str(model), "--target", str(target), "-o", str(tmp_path / "out"), "--json"]
    assert cli.run([*arguments, "--bucket", "prefill=64"]) == 0
    assert inputs(tmp_path / "out") == [[2, 4], [2, 64]]
    capsys.readouterr()
    assert cli.run([*arguments, "--bucket", "prefill=64", "--shape", "seq=5"]) == 0
    assert inputs(tmp_path / "out") == [[2, 4], [2, 5]]
    capsys.readouterr()
    assert cli.run(arguments) == 2
    assert "or what 'x86_cpu' names: --bucket decode, --bucket prefill=16" in json.loads(capsys.readouterr().out)["error"]["help"]


def inputs(bundle: Path) -> list[list[int]]:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    return [tensor["shape"] for tensor in manifest["model"]["inputs"]]
