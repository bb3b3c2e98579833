"""What OpenVINO counts of a segment, and its time without counting; one thread, in the precision that its adapter pins."""

from __future__ import annotations

import time
from typing import Any

from ...devices.openvino import PINNED
from ...errors import BundleError
from .clock import Chunk, time_runs
from .join import Reported
from .source import Profile, Runnable, quietest

QUIET = 0.3
ONE_THREAD = {"INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1"}
LEAST_RUNS, MOST_RUNS = 15, 1000


class OpenVinoSource:
    """Measures with OpenVINO's CPU plugin. It computes in a thread of its own: the clock is that of the process, which does nothing else."""

    @property
    def runtime(self) -> str:
        import openvino

        return f"openvino {openvino.__version__.split('-')[0]}"

    def latency(self, model: Runnable, budget: float) -> Chunk:
        request = _request(model, {})
        return time_runs(request.infer, budget, time.process_time_ns)

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        request = _request(model, {"PERF_COUNT": "YES"})
        request.infer()
        runs = []
        for _ in range(int(min(MOST_RUNS, max(LEAST_RUNS, budget / max(latency, 1e-7))))):
            request.infer()
            runs.append([_reported(one) for one in request.get_profiling_info() if _executed(one)])
        return quietest(runs, QUIET)


def _request(model: Runnable, more: dict[str, str]) -> Any:
    import openvino

    try:
        compiled = openvino.Core().compile_model(str(model.path), "CPU", {**PINNED, "PERFORMANCE_HINT": "LATENCY", **ONE_THREAD, **more})
        request = compiled.create_infer_request()
        for port, memory in zip(model.ports.inputs, model.ports.memory, strict=False):
            request.set_tensor(port.name, openvino.Tensor(model.ports.values[port.name] if memory is None else memory))
        return request
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"OpenVINO refuses {model.path.name}: {str(error).strip()[:300]}", where=str(model.path)) from error


def _executed(one: Any) -> bool:
    return str(one.status).endswith("EXECUTED") and not str(one.status).endswith("NOT_RUN") and one.node_type not in ("Parameter", "Result")


def _reported(one: Any) -> Reported:
    return Reported(one.node_name, one.real_time.total_seconds(), kind=one.node_type)
