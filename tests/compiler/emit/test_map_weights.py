"""Weights that stay in the mapped file: the same bits, no more private copies than allowed, and a refusal with the number that would do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import structs
from onnx import helper, numpy_helper
from small_agents import LINKS, PIXELS, ROWS, SPEC, Agent

from autoglmc.compiler import cli
from autoglmc.compiler.api.compile import compile as compile_bundle
from autoglmc.compiler.bundle.entries import open_together
from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.bundle.manifest_json import to_json
from autoglmc.compiler.bundle.phase_record import PhaseRecord, PhasesRecord
from autoglmc.compiler.bundle.resident import peaks_of
from autoglmc.compiler.bundle.weights import WEIGHTS
from autoglmc.compiler.devices.packed_weights import CHOOSING
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.resident_weights import resident_budget
from autoglmc.compiler.emit.map_weights import map_weights
from autoglmc.compiler.emit.package import write_manifest
from autoglmc.compiler.errors import BundleError, UsageError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.plan.held import weight_bytes
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.state.request import StateRequest
from autoglmc.targets.cost import weights_memory

MODEL = Path(__file__).parents[2] / "models" / "decoder_tiny.onnx"
ENTRIES = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
PROMPT = [3, 14, 15, 9, 26, 5, 8, 9, 7, 9]
MIB = 1 << 20


def decoder(folder: Path, resident: int | None) -> Bundle:
    state = StateRequest((("past.*", "present.*"),), 64)
    return compile_entries(MODEL, "x86_cpu", ENTRIES, state=state, output=folder, verify=False, resident=resident).bundle


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The smallest budget, as the refusal of one byte says it."""
    with pytest.raises(UsageError) as refused:
        decoder(tmp_path_factory.mktemp("refused") / "b", 1)
    return int(refused.value.help.split()[1])


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory, least: int) -> Bundle:
    return decoder(tmp_path_factory.mktemp("tight") / "b", least)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return decoder(tmp_path_factory.mktemp("plain") / "b", None)


def outputs(bundle: Bundle) -> list[bytes]:
    session = bundle.session()
    made = [session.step("prefill", {"input_ids": np.array([PROMPT])})["logits"]]
    for _ in range(5):
        made.append(session.step("decode", {"input_ids": made[-1][:, -1:].argmax(axis=-1)})["logits"])
    return [array.tobytes() for array in made]


def test_the_record_names_the_weights_whose_packed_forms_are_private(tight: Bundle, tmp_path: Path, least: int) -> None:
    """By the files: a packed form that is mapped is noted at its weight."""
    roomy = decoder(tmp_path / "b", 100 * least)
    packable: dict[str, set[str]] = {}
    for bundle in (roomy, tight):
        assert bundle.manifest.resident is not None
        for file, held in bundle.manifest.resident.segments.items():
            tensors = onnx.load(bundle.folder / file, load_external_data=False).graph.initializer
            mapped = {one.name for one in tensors if any(entry.key.startswith("prepacked") for entry in one.external_data)}
            assert mapped.isdisjoint(held.unmapped) and bool(mapped) == (bundle is tight)
            assert packable.setdefault(file, mapped | set(held.unmapped)) == mapped | set(held.unmapped)
    assert all(packable.values())


def test_outputs_are_equal_to_the_bit(tight: Bundle, plain: Bundle) -> None:
    assert outputs(tight) == outputs(plain)


def test_one_byte_less_than_the_smallest_budget_is_refused(tmp_path: Path, least: int, tight: Bundle) -> None:
    record = tight.manifest.resident
    assert record is not None and record.packed > 0
    assert held(tight) == record.least == least
    with pytest.raises(UsageError, match="cannot be kept"):
        decoder(tmp_path / "b", least - 1)
    assert not (tmp_path / "b").exists()


def test_sessions_refuse_less_than_they_hold_before_anything_is_loaded(tight: Bundle, least: int) -> None:
    assert tight.session(resident=least).step("decode", {"input_ids": np.array([[1]])})
    with pytest.raises(UsageError, match=f"--resident {least}"):
        tight.session(resident=least - 1)


def test_a_bundle_that_does_not_say_refuses_a_budget(plain: Bundle) -> None:
    with pytest.raises(UsageError, match="compiled without --resident"):
        plain.session(resident=MIB)


def test_a_budget_above_the_weights_changes_nothing(tmp_path: Path, plain: Bundle) -> None:
    roomy = decoder(tmp_path / "b", 1 << 30)
    record = roomy.manifest.resident
    assert record is not None and not record.packed
    name = f"segments/{WEIGHTS}"
    assert roomy.manifest.files[name] == plain.manifest.files[name]


def test_between_both_some_weights_are_mapped(tmp_path: Path, least: int, tight: Bundle) -> None:
    whole = sum(one.whole for one in resident(tight).segments.values())
    middle = decoder(tmp_path / "b", (least + whole) // 2)
    assert least < held(middle) <= (least + whole) // 2
    assert 0 < resident(middle).packed < resident(tight).packed


def resident(bundle: Bundle) -> Any:
    assert bundle.manifest.resident is not None
    return bundle.manifest.resident


def held(bundle: Bundle) -> int:
    """The most bytes of weights of its own that a session of all entries has: the largest form is packed when the rest may be there."""
    each = resident(bundle).segments.values()
    return int(sum(one.private for one in each) + max(one.packing for one in each))


def test_entries_share_what_they_pack_alike(tight: Bundle) -> None:
    """Both entries have the same matrices: the packed forms are in the file once."""
    mapped = sum(one.whole - one.private for one in resident(tight).segments.values())
    assert resident(tight).packed < 0.75 * mapped


@pytest.mark.parametrize("field, value", [("runtime", "onnxruntime 1.0"), ("processor", "z80")])
def test_other_kernels_are_counted_as_if_nothing_were_packed(tight: Bundle, field: str, value: str) -> None:
    other = structs.replace(tight.manifest, resident=structs.replace(resident(tight), **{field: value}))
    moved = Bundle(tight.folder, other, tight.digest, "")
    whole = sum(one.whole for one in resident(tight).segments.values())
    with pytest.raises(UsageError, match=value) as refused:
        moved.session()
    assert f"--resident {whole}" in refused.value.help
    assert moved.session(resident=whole)


def test_a_packed_form_outside_the_file_is_refused(tmp_path: Path, least: int) -> None:
    bundle = decoder(tmp_path / "b", least)
    file = bundle.folder / bundle.manifest.segments[0].file
    model = onnx.load_model(file, load_external_data=False)
    entry = next(e for t in model.graph.initializer for e in t.external_data if e.key == "prepacked_0")
    entry.value = f"{entry.value.split('|')[0]}|{1 << 40};64;0"
    rewrite(bundle, model)
    with pytest.raises(BundleError, match="is packed at"):
        Bundle.load(bundle.folder)


def test_packed_forms_are_refused_where_the_manifest_names_none(tmp_path: Path, least: int) -> None:
    bundle = decoder(tmp_path / "b", least)
    write(bundle.folder, structs.replace(bundle.manifest, resident=None))
    with pytest.raises(BundleError, match="prepacked_0"):
        Bundle.load(bundle.folder)


def test_a_segment_of_which_nothing_is_said_is_refused(tmp_path: Path, least: int) -> None:
    bundle = decoder(tmp_path / "b", least)
    write(bundle.folder, structs.replace(bundle.manifest, resident=structs.replace(resident(bundle), segments={})))
    with pytest.raises(BundleError, match=r"resident\.segments does not say"):
        Bundle.load(bundle.folder)


def rewrite(bundle: Bundle, model: onnx.ModelProto) -> None:
    """The first segment, and its digest in the manifest."""
    import hashlib

    name, data = bundle.manifest.segments[0].file, model.SerializeToString()
    (bundle.folder / name).write_bytes(data)
    record = structs.replace(bundle.manifest.files[name], sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    write(bundle.folder, structs.replace(bundle.manifest, files={**bundle.manifest.files, name: record}))


def write(folder: Path, manifest: Manifest) -> None:
    (folder / "manifest.json").write_text(to_json(manifest))


def test_all_models_of_a_bundle_are_held_within_one_budget(tmp_path: Path) -> None:
    """Where models take turns, those that are open together: less will do."""
    agent, images = Agent(spec=replace(SPEC, layers=1)), np.random.default_rng(0).standard_normal((ROWS, PIXELS)).astype(np.float32)
    options: dict[str, Any] = {"links": LINKS, "entries": ENTRIES, "state": StateRequest((("past.*", "present.*"),), 32), "verify": False}

    def made(folder: str, resident: int | None) -> Bundle:
        return compile_models(agent.models(), "x86_cpu", output=tmp_path / folder, resident=resident, **options).bundle

    def steps(bundle: Bundle) -> bytes:
        session = bundle.session()
        session.step("embed", {"input_ids": np.array([[1, *[0] * ROWS, 2]])})
        session.step("vision", {"patches": images}, at=1)
        return bytes(session.step("prefill")["logits"].tobytes())

    with pytest.raises(UsageError) as refused:
        made("refused", 1)
    least = int(refused.value.help.split()[1])
    bundle = made("tight", least)
    assert held(bundle) == least and set(peaks_of(bundle.manifest)) == {*(entry.name for entry in bundle.manifest.entries), ""}
    plain = made("plain", None)
    expected = steps(plain)
    assert steps(bundle) == expected
    each = tuple(PhaseRecord(model=model, running={}, loading={}) for model in ("vision", "decoder"))
    in_turn, target = structs.replace(plain.manifest, phases=PhasesRecord(at_once={}, each=each)), load_target("x86_cpu")
    record = bundle.manifest.resident
    assert record is not None
    groups = [[s.file for plan in plans for s in plan.segments] for plans in open_together(in_turn).values()]
    enough = max(sum(record.segments[file].whole for file in files) for files in groups)
    free = map_weights(plain.folder, in_turn, enough, target)
    less = map_weights(plain.folder, in_turn, enough - 1, target)
    assert free.resident is not None and free.resident.packed == 0 and less.resident is not None and less.resident.packed > 0
    write_manifest(plain.folder, less)
    again = Bundle.load(plain.folder)
    most = [one.private + one.packing for name, one in peaks_of(again.manifest).items() if name in ("with vision", "with decoder")]
    assert len(most) == 2 and max(most) < enough < sum(one.whole for one in record.segments.values()) and steps(again) == expected


def test_verify_asks_what_a_bundle_computes_and_not_what_it_takes(tight: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.bundle.resident.packing_processor", lambda: "z80")
    with pytest.raises(UsageError, match="z80"):
        tight.session()
    assert tight.verify(MODEL).verified


def test_weights_larger_than_the_budget_of_the_memory_can_be_compiled(tmp_path: Path) -> None:
    model, machine = onnx.load_from_string(layers()), load_target("x86_cpu")
    small = replace(machine, memories=tuple(replace(memory, budget=20 * MIB) for memory in machine.memories))
    found = compile_model(model, small, output=tmp_path / "b", verify=False, resident=8 * MIB)
    (one,) = (held for name, held in found.predicted.held.items() if name == "dram")
    assert one.weights == 8 * MIB and one.weights + one.mapped == weight_bytes(found.compiled.segments) > 20 * MIB
    assert peaks_of(found.manifest)[""].loading <= 20 * MIB


def test_a_target_may_state_the_budget(tmp_path: Path, least: int, tight: Bundle) -> None:
    file = tmp_path / "small.hw"
    file.write_text(f'hw 1;\ninclude "x86_cpu.hw";\ntarget small extends x86_cpu {{ memory dram {{ resident {least} B; }} }}\n')
    state = StateRequest((("past.*", "present.*"),), 64)
    bundle = compile_entries(MODEL, file, ENTRIES, state=state, output=tmp_path / "b", verify=False).bundle
    assert resident(bundle) == resident(tight)
    with pytest.raises(UsageError, match="--compress"):
        compile_entries(MODEL, file, ENTRIES, state=state, output=tmp_path / "c", verify=False, compress=True)


def test_the_command_says_what_is_held(tmp_path: Path, least: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "64", "--no-verify"]
    made = ["compile", str(MODEL), "--target", "x86_cpu", *words, "-o", str(tmp_path / "b")]
    assert cli.run([*made, "--resident", str(least), "--json"]) == 4
    facts = json.loads(capsys.readouterr().out)["resident"]
    assert facts["least"] == least and set(facts["peaks"]) == {"prefill", "decode", ""}
    assert cli.run([*made, "--resident", str(least)]) == 4
    screen = capsys.readouterr().out
    assert f"{least:,} B the smallest that is kept" in " ".join(screen.split()) and "all entries: load peak" in screen
    pytest.importorskip("tokenizers")
    tokenizer = str(MODEL.with_name("decoder_tiny.tokenizer.json"))
    assert cli.run(["generate", str(tmp_path / "b"), "--tokenizer", tokenizer, "--prompt", "a", "--resident", str(least - 1)]) == 2
    assert f"--resident {least}" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "-5", "lots"])
def test_what_is_no_size_is_a_wrong_option(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compile", str(MODEL), "--target", "x86_cpu", "--resident", size]) == 2
    assert "is not a size" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["9" * 400, "99999999999999999999", "1e99"])
def test_a_size_beyond_all_machines_is_a_wrong_option(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compile", str(MODEL), "--target", "x86_cpu", "--resident", size]) == 2
    assert "--resident" in capsys.readouterr().err


def test_only_the_memory_of_the_hosts_weights_may_state_it() -> None:
    target = load_target("ethos_u55_256")
    other = next(memory for memory in target.memories if memory.name != weights_memory(target, target.host.name).name)
    stated = replace(target, memories=tuple(replace(m, resident=1 << 20) if m.name == other.name else m for m in target.memories))
    with pytest.raises(UsageError, match=f"memory `{other.name}` states `resident`"):
        resident_budget(stated, None)


def test_a_protection_of_the_kernel_is_no_instruction_set() -> None:
    assert not CHOOSING.fullmatch("smep") and CHOOSING.fullmatch("sme") and CHOOSING.fullmatch("smei16i64")


@pytest.mark.parametrize("budget", [0, -1])
def test_no_bytes_are_no_budget(tmp_path: Path, budget: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        decoder(tmp_path / "b", budget)


@cache
def layers() -> bytes:
    """Four matrices of 4 MiB, one behind the other, and a table of 8 MiB."""
    draw = np.random.default_rng(0)
    weights = [numpy_helper.from_array((draw.standard_normal((1024, 1024)) / 32).astype(np.float32), f"w{k}") for k in range(4)]
    table = numpy_helper.from_array(draw.standard_normal((2048, 1024)).astype(np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "ids"], ["x0"])]
    for k in range(4):
        nodes += [helper.make_node("MatMul", [f"x{k}", f"w{k}"], [f"m{k}"]), helper.make_node("Tanh", [f"m{k}"], [f"x{k + 1}"])]
    ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [4])
    y = helper.make_tensor_value_info("x4", onnx.TensorProto.FLOAT, [4, 1024])
    graph = helper.make_graph(nodes, "layers", [ids], [y], [table, *weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


CHILD = """
import sys
import numpy as np
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.resident import status_bytes

bundle = Bundle.load(sys.argv[1])
Bundle.load(sys.argv[2]).run({"ids": np.arange(4)})  # the runtime itself
before = status_bytes()["RssAnon"]
outputs = bundle.session().run({"ids": np.arange(4)})
print(status_bytes()["RssAnon"] - before, outputs["x4"].tobytes().hex()[:4096])
"""


def ran(bundle: Bundle, first: Bundle) -> tuple[int, str]:
    """Private bytes that a process has more once it has loaded and run the bundle, and what came out."""
    line = [sys.executable, "-c", CHILD, bundle.folder, first.folder]
    runs = [subprocess.run(line, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    return min(int(grown) for grown, _ in runs), runs[0][1]  # what else a busy machine leaves in a process is not the bundle's


def test_private_memory_is_what_was_predicted(tmp_path: Path) -> None:
    model = onnx.load_from_string(layers())
    free = compile_bundle(model, "x86_cpu", output=tmp_path / "free", verify=False)
    half = compile_bundle(model, "x86_cpu", output=tmp_path / "half", resident=13 * MIB)
    tiny = compile_bundle(model, "x86_cpu", output=tmp_path / "none", verify=False, resident=5 * MIB)
    predicted = [peaks_of(bundle.manifest)[""].running for bundle in (half, tiny)]
    (whole, made), *mapped = ran(free, tiny), ran(half, tiny), ran(tiny, free)
    assert whole > 15 * MIB
    for measured, peak in zip(mapped, predicted, strict=True):
        assert measured[1] == made
        assert measured[0] < peak + 4 * MIB, "what the session itself takes beside weights"
    assert half.manifest.verification.verified
