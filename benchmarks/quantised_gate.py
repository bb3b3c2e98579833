"""Twelve quantised models on a phone's NPU: what autoglmc places there, beside what onnxruntime-qnn takes by itself.

.venv-devices/bin/python benchmarks/quantised_gate.py [NAME ...] [--unseen] [--models FOLDER]

Counted are operators that compute: not QuantizeLinear and DequantizeLinear. Of onnxruntime-qnn, what its own partitioning of the same file
assigns to it, with the CPU behind it and integers kept at the border, as onnxruntime reports it. Of autoglmc, what the verified bundle
runs on `npu`; recovery makes fewer operators, so shares are compared, and segments of all devices on both sides.

onnxruntime-qnn gives the NPU all that it can take; autoglmc leaves to the CPU what is faster there by the target's numbers. So where its
share is smaller, the model is compiled once more for a Snapdragon whose CPU takes SLOW a kernel, which asks what the NPU can take:
that row, "could", has to hold, and to be no faster by the target's own numbers. Exits with 1 where a row does not hold, or a bundle
is not verified; with 2 where the NPU's compiler is not here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoglmc.targets.model import Target

sys.path.insert(0, str(Path(__file__).resolve().parent))

TARGET, SOC, ARCH = "snapdragon_8gen3", "57", "75"
SLOW = 1e-3
"""Seconds a kernel of a CPU that nothing is left to."""
NONE = 1 << 20
"""Pieces of what is not there."""
CARRIERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True)
class Count:
    """Operators that compute, and pieces of the model."""

    npu: int
    elsewhere: int
    segments: int
    verified: bool = True
    reason: str = ""
    seconds: float = 0.0
    predicted: float = 0.0
    """Seconds of a run by the target that it was compiled for."""

    @property
    def share(self) -> float:
        return self.npu / max(self.npu + self.elsewhere, 1)


def by_onnxruntime(path: Path) -> Count:
    """Its own partitioning, in a process of its own: autoglmc registers the library, too, and that may be done once."""
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(_partitioned, path).result()
    except Exception as problem:  # of onnxruntime, which has many, or of a process that ended
        return Count(0, 0, NONE, verified=False, reason=f"onnxruntime-qnn does not load it: {problem}"[:200])


def _partitioned(path: Path) -> Count:
    import onnxruntime
    import onnxruntime_qnn

    name = "QNNExecutionProvider"
    onnxruntime.register_execution_provider_library(name, onnxruntime_qnn.get_library_path())
    device = next(device for device in onnxruntime.get_ep_devices() if device.ep_name == name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    chosen = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "htp_arch": ARCH, "soc_model": SOC}
    options.add_provider_for_devices([device], {**chosen, "offload_graph_io_quantization": "0"})
    parts = onnxruntime.InferenceSession(str(path), options).get_provider_graph_assignment_info()
    kinds: Counter[bool] = Counter()
    others = 0
    for part in parts:
        computing = sum(node.op_type not in CARRIERS for node in part.get_nodes())
        kinds[part.ep_name == name] += computing
        others += part.ep_name != name
    pieces = sum(part.ep_name == name for part in parts)
    return Count(kinds[True], kinds[False], pieces + min(others, pieces + 1))


def npu_first() -> Target:
    """The stock target with a CPU of SLOW and without its GPU."""
    from autoglmc.grammar import load_target
    from autoglmc.targets.stock import stock_path

    target = load_target(stock_path(TARGET))
    slow = tuple(replace(device, launch=SLOW) if device.name == "cpu" else device for device in target.devices if device.name != "gpu")
    links = tuple(link for link in target.links if "gpu" not in (link.source, link.destination))
    return replace(target, devices=slow, links=links)


def by_autoglmc(path: Path, folder: Path, target: Target | str = TARGET) -> Count:
    from autoglmc.compiler.driver.compile_model import compile_model
    from autoglmc.compiler.errors import UserError

    started = time.perf_counter()
    try:
        result = compile_model(path, target, output=folder / f"{path.stem}.bundle")
    except UserError as problem:
        return Count(0, 0, 0, verified=False, reason=problem.message)
    found: Counter[bool] = Counter()
    import onnx

    for segment in result.manifest.segments:
        nodes = onnx.load(folder / f"{path.stem}.bundle" / segment.file, load_external_data=False).graph.node
        found[segment.device == "npu"] += sum(node.op_type not in CARRIERS for node in nodes)
    reasons = [*result.reasons, *(note for note in result.notes if "npu" in note)]
    taken = time.perf_counter() - started
    return Count(found[True], found[False], len(result.manifest.segments), result.verified, "; ".join(reasons)[:300], taken,
                 result.manifest.predicted_seconds)  # fmt: skip


def _holds(ours: Count, theirs: Count) -> bool:
    return ours.verified and ours.share >= theirs.share and ours.segments <= theirs.segments


def _row(name: str, theirs: Count, ours: Count, right: bool) -> None:
    known = f"{theirs.npu:8} {theirs.npu + theirs.elsewhere:5} {theirs.segments % NONE:6}"
    found = f"{ours.npu:8} {ours.npu + ours.elsewhere:5} {ours.segments:6} {'yes' if ours.verified else 'no':>8}"
    print(f"{name:18} {known}  {found} {ours.predicted * 1e6:8.0f} {ours.seconds:6.0f}   {'FAILS ' * (not right)}{ours.reason}", flush=True)


def main() -> int:
    from gate_models import MODELS, UNSEEN

    from autoglmc.compiler.devices.find_adapter import absence

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="models, by default all twelve")
    parser.add_argument("--unseen", action="store_true", help="other networks, which nothing was tuned on")
    parser.add_argument("--models", type=Path, help="where the quantised models are kept")
    arguments = parser.parse_args()
    if lack := absence("qnn", ("htp", "soc", SOC, "arch", ARCH)):
        print(lack.reason)
        return 2
    held = True
    heads = (
        ("ort-qnn", 8),
        ("of", 5),
        ("pieces", 6),
        ("", 0),
        ("autoglmc", 8),
        ("of", 5),
        ("pieces", 6),
        ("verified", 8),
        ("us", 8),
        ("s", 6),
    )
    print(f"{'model':18}", *(f"{head:>{width}}" for head, width in heads))
    with tempfile.TemporaryDirectory() as work:
        folder = arguments.models or Path(work)
        folder.mkdir(parents=True, exist_ok=True)
        for model in (model for model in (UNSEEN if arguments.unseen else MODELS) if not arguments.names or model.name in arguments.names):
            path = folder / f"{model.name}.onnx"
            try:
                path = path if path.exists() else model.make(folder)
            except FileNotFoundError as missing:
                print(f"{model.name:18} not made: {missing} is not on this machine")
                continue
            theirs, ours = by_onnxruntime(path), by_autoglmc(path, Path(work))
            if not theirs.verified:
                print(f"{model.name:18} {theirs.reason}", flush=True)
            right = _holds(ours, theirs)
            _row(model.name, theirs, ours, right or ours.verified)
            if not right and ours.verified:
                could = by_autoglmc(path, Path(work), npu_first())
                right = _holds(could, theirs) and ours.predicted <= could.predicted
                _row("  could", theirs, could, right)
            held &= right
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
