"""What OpenVINO's counters report of a segment on the CPU, and its time without them: one thread, one stream, accuracy mode, as bundles run
it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...devices.openvino import PINNED, OpenVinoAdapter
from ...devices.ort import as_bundle_error
from ...errors import BundleError, first_line
from .clock import Chunk, least_runs, time_runs
from .join import Reported
from .openvino_names import NAMELESS, Names, names_in
from .source import Profile, Runnable

if TYPE_CHECKING:
    import openvino

LEAST_RUNS, MOST_RUNS = 30, 1000
HALF = 0.5e-6
ONE_THREAD = {"INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}


class OpenVinoSource:
    """Measures with OpenVINO's CPU."""

    @property
    def runtime(self) -> str:
        return f"openvino {OpenVinoAdapter(('cpu',)).versions()['openvino']}"

    def latency(self, model: Runnable, budget: float) -> Chunk:
        _, request = _opened(model, {})
        return time_runs(request.infer, budget, time.process_time_ns)  # it may compute in a thread of its own; nothing else runs here

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        """The counters are means over all runs since the model was compiled, in whole microseconds."""
        compiled, request = _opened(model, {"PERF_COUNT": "YES"})
        request.infer()
        first = {one.node_name: one.real_time for one in request.profiling_info}
        runs = int(min(MOST_RUNS, max(least_runs(LEAST_RUNS, latency), budget / max(latency, 1e-7))))
        for _ in range(runs - 1):
            request.infer()
        names = names_in(compiled.get_runtime_model().get_ordered_ops())
        found = [
            _reported(one, first.get(one.node_name, timedelta()), runs, names.get(one.node_name, NAMELESS))
            for one in request.profiling_info
            if one.status.name == "EXECUTED"
        ]
        return Profile(tuple(found), runs)


def _reported(counter: Any, first: timedelta, runs: int, names: Names) -> Reported:
    """Without the first run, which prepares. The counter of a run is cut to whole microseconds, and so is their mean: half of one is added
    for each."""
    seconds = (counter.real_time * runs - first).total_seconds() / (runs - 1)
    cut = 2 * HALF if counter.real_time else HALF
    return Reported(counter.node_name, max(0.0, seconds) + cut, others=names.made_of, kind=counter.node_type, near=names.near)


def _opened(model: Runnable, more: Mapping[str, str]) -> tuple[openvino.CompiledModel, openvino.InferRequest]:
    """Raises BundleError where OpenVINO refuses the model, or has an input that has no address."""
    import openvino

    from ...devices.views import view_at

    with as_bundle_error(model.path):
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(str(model.path)), "CPU", {**PINNED, **ONE_THREAD, **more})
        request = compiled.create_infer_request()
        for port in (*model.ports.inputs, *model.ports.outputs):
            if port.address is None:
                raise BundleError(f"{model.path.name}: {port.name} has no address, and OpenVINO is only given addresses")
            try:
                request.set_tensor(port.name, openvino.Tensor(view_at(port), shared_memory=True))
            except RuntimeError as problem:
                raise BundleError(f"{model.path.name}: OpenVINO does not take {port.name}: {first_line(problem)}") from None
    return compiled, request
