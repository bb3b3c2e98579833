"""The prediction benchmark's networks: what benchmarks/networks/check.py finds on all of them holds on small ones of each kind here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import networks.network
import pytest
from breadth import long
from networks import Network
from networks import networks as all_networks
from networks.check import problems
from networks.forms import CONVOLUTIONAL, forms, with_forms
from networks.unseen import unseen_networks

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {network.name: network for network in all_networks()}
UNSEEN = {network.name: network for network in unseen_networks()}
SMALL = ("preact_resnet20_32", "mobilenet_v1_quarter_96", "keyword_gru_100", "patch_tst_336x2", "gcn_400", "bert_tiny")
DIGEST = """
import hashlib
from networks import networks
for network in networks():
    if network.name in {names!r}:
        print(network.name, hashlib.sha256(network.make().SerializeToString(deterministic=True)).hexdigest())
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks.network, "MADE", tmp_path)


@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_finite_the_same_twice_and_compiles(name: str) -> None:
    assert problems(KNOWN[name]) == []


@pytest.mark.parametrize("name", ["blazeface_128", "levit_224", "tagger_4x30", "dgcnn_256", "sasrec_8x50"])
def test_a_later_network_is_as_good(name: str) -> None:
    assert problems(KNOWN[name]) == []


@pytest.mark.parametrize("name", ["rexnet_192", "dncnn_128", "rnnoise_60", "tft_16x48", "gat_300"])
def test_a_network_that_nobody_looked_at_is_as_good(name: str) -> None:
    assert problems(UNSEEN[name]) == []


def test_none_that_nobody_looked_at_is_among_those_that_are_fitted() -> None:
    """Neither by name nor as the same network at another size; a calibration was settled with none of them in view."""
    assert len(UNSEEN) == len(unseen_networks()) >= 24
    assert not set(UNSEEN) & set(KNOWN)
    assert not {network.network for network in UNSEEN.values()} & _labels()
    assert not {network.family for network in UNSEEN.values()} & {network.family for network in KNOWN.values()}


def test_two_processes_make_the_same_bytes() -> None:
    program = DIGEST.format(names=SMALL[:4])
    found = []
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, cwd=ROOT / "benchmarks", env=environment, check=True, capture_output=True, text=True)
        found.append(run.stdout)
    assert found[0] == found[1]
    assert len(found[0].splitlines()) == 4


def test_there_are_enough_of_them() -> None:
    """What the benchmark needs: many networks of many families; one network is of one family whatever its size."""
    assert len({network.network for network in KNOWN.values()}) >= 90
    assert len({network.family for network in KNOWN.values()}) >= 40
    assert all(len({network.family for network in KNOWN.values() if network.network == label}) == 1 for label in _labels())


def _labels() -> set[str]:
    return {network.network for network in KNOWN.values()}


def test_a_model_is_written_once_for_each_version_of_the_sources(tmp_path: Path) -> None:
    network = KNOWN["keyword_gru_100"]
    stale = tmp_path / "keyword_gru_100-00000000.onnx"
    stale.write_bytes(b"of older sources")
    path = network.path()
    assert (path.parent, stale.exists()) == (tmp_path, False)
    written = path.stat().st_mtime_ns
    assert network.path() == path
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("name", long(["mobilenet_v1_quarter_96", "bert_tiny"], ["bert_tiny"]))
def test_every_form_is_right_and_compiles(name: str) -> None:
    """Both lists of forms, on the smallest network that has something to quantise."""
    made = forms(KNOWN[name])
    assert {form: problems(network) for form, network in made.items()} == {form: [] for form in made}


@pytest.mark.parametrize(("name", "operator"), [("int8", "QuantizeLinear"), ("int8_dynamic", "MatMulInteger"), ("int4", "MatMulNBits"),
                                                ("int4_dq", "DequantizeLinear")])  # fmt: skip
def test_a_form_has_what_it_is_called_after(name: str, operator: str) -> None:
    model = forms(KNOWN["bert_tiny"])[name].model()
    assert sum(node.op_type == operator for node in model.graph.node) >= 10


def test_a_half_form_has_half_the_bytes() -> None:
    sizes = {name: network.model().ByteSize() for name, network in forms(KNOWN["bert_tiny"]).items() if name in ("fp32", "fp16")}
    assert sizes["fp16"] < 0.6 * sizes["fp32"]


def test_forms_are_made_of_all_kinds_of_networks() -> None:
    kinds = {network.family for network in with_forms()}
    assert {"resnet", "mobilenet", "vit", "bert", "llama"} <= kinds
    assert len(with_forms()) > len(CONVOLUTIONAL) >= 2


def test_a_problem_is_found() -> None:
    """A network whose outputs depend on nothing is reported."""
    import onnx
    from networks.net import Net

    def constant() -> onnx.ModelProto:
        net = Net("constant")
        x = net.input("x", (1, 4))
        return net.model(net.op("Mul", x, net.number(0.0)))

    assert problems(Network(name="constant", network="constant", family="none", make=constant)) == ["no output depends on the inputs"]
