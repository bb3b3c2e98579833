"""What a verification says of a wrong model in a bundle that claims to be the right one's: only numbers can tell."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.load.weights import model_sha256
from autoglmc.compiler.reference.recall import Recalling
from autoglmc.compiler.reference.store import default_store
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.compiler.verify.verify import verify

from .effect import Exact, Truth

SUSPECTS = ("recover_attention", "fuse_attention")
"""Rules that are left out where the right model is refused with them, so that slips can be tried there: `--right` names such models."""
Run = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What a session was given and what it gave."""


class Watched:
    """A session that keeps its runs."""

    def __init__(self, session: Any, runs: list[Run]) -> None:
        self._session, self._runs = session, runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, inputs: Mapping[str, Any], observe: Callable[[str, str, Any], None] | None = None) -> Mapping[str, Any]:
        given = {name: np.array(value) for name, value in inputs.items()}
        results = self._session.run(inputs, observe)
        self._runs.append((given, {name: np.array(value) for name, value in results.items() if isinstance(value, np.ndarray)}))
        return results


class WatchedBundle:
    """A bundle whose sessions keep their runs."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self.manifest = bundle, bundle.manifest
        self.runs: list[Run] = []

    def session(self, **options: Any) -> Watched:
        return Watched(self._bundle.session(**options), self.runs)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one wrong model."""

    refused: bool
    """For its numbers."""
    located: bool
    """And the worst element that is named is one where the mistake acts."""
    part: float
    """The largest difference over what is allowed there."""
    reason: str
    mended: bool = False
    """It was verified because the compiler put the mistake right: a rule took a constant for the one it knows."""


class Judge:
    """Verifications of one model on one target; a context manager. The right model's answers are computed once."""

    def __init__(self, truth: Truth, target: str, folder: Path) -> None:
        self.truth, self.target, self.folder = truth, target, folder
        self.source = source_of(truth.subject.path)
        self.sha256 = model_sha256(self.source)
        self.without: tuple[str, ...] = ()
        """Rules that are not used."""
        self.oracle = Recalling(self.source, default_store())

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *problem: object) -> None:
        self.oracle.close()

    def bundle(self, model: onnx.ModelProto | Path) -> Bundle:
        """Compiled unseen; its manifest says that it was made from the right model."""
        out = self.folder / f"bundle.{self.target}"
        shutil.rmtree(out, ignore_errors=True)
        compile_model(model, self.target, shapes=dict(self.truth.subject.shapes) or None, output=out, verify=False, disable=self.without)
        manifest = json.loads((out / "manifest.json").read_text("utf-8"))
        manifest["model"]["sha256"] = self.sha256
        (out / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", "utf-8")
        return Bundle.load(out)

    def right(self) -> VerifyReport:
        """Of the right model itself, compiled as wrong ones are."""
        return verify(self.source, self.bundle(self.truth.subject.path), emulate=True, oracle=self.oracle)

    def usable(self) -> bool:
        """Whether the right model is verified; without the rules of SUSPECTS where that is what it takes. Where it is refused in any
        case, refusing wrong ones says nothing."""
        for self.without in ((), SUSPECTS):
            if self.right().verified:
                return True
        return False

    def verdict(self, wrong: onnx.ModelProto) -> Verdict:
        """Raises what compiling or running a model that cannot run raises."""
        watched = WatchedBundle(self.bundle(wrong))
        report = verify(self.source, watched, emulate=True, oracle=self.oracle)
        faults = [output for output in report.outputs if output.fault]
        located = any(self._acts(wrong, output, report, watched.runs) for output in faults)
        part = max((output.excess for output in report.outputs), default=0.0)
        refused = bool(faults) and not report.verified
        return Verdict(refused, located, part, report.reason, not refused and self._mended(wrong, watched))

    def _mended(self, wrong: onnx.ModelProto, bundle: WatchedBundle) -> bool:
        """Whether less than half of the mistake is in what the bundle computes on fresh inputs."""
        session, exact = bundle.session(emulate=True), Exact(wrong, self.truth.exact)
        moved, found = [], []
        for inputs, right in zip(self.truth.inputs, self.truth.values, strict=True):
            results, other = session.run(inputs), exact.run(inputs)
            for name, rounding in self.truth.rounding.items():
                with np.errstate(all="ignore"):
                    unit = np.maximum(rounding, 1e-30)
                    moved.append(((np.asarray(other[name], np.float64) - right[name]) / unit).ravel())
                    found.append(((np.asarray(results[name], np.float64) - right[name]) / unit).ravel())
        return surely_absent(np.concatenate(moved), np.concatenate(found))

    def _acts(self, wrong: onnx.ModelProto, output: Any, report: VerifyReport, runs: list[Run]) -> bool:
        """Whether in float64 most of the difference at the element that is named is the mistake's."""
        if output.worst is None or output.worst.inputs not in report.inputs:
            return False
        inputs, results = runs[report.inputs.index(output.worst.inputs)]
        right = self.truth.exact.run(inputs)[output.name]
        got = Exact(wrong, self.truth.exact).run(inputs)[output.name]
        at = output.worst.index
        if np.shape(right) != np.shape(got):
            return True
        r, g = np.asarray(right)[at], np.asarray(got)[at]
        if np.asarray(right).dtype.kind != "f" or not (np.isfinite(r) and np.isfinite(g)):
            return bool(r != g)
        return bool(abs(g - r) > abs(float(results[output.name][at]) - r) / 2)


def surely_absent(moved: Any, found: Any) -> bool:
    """Whether less than half of `moved` is in `found`: the least-squares share, two standard errors (White's) added, so that noise larger
    than the mistake decides nothing."""
    both = np.isfinite(moved) & np.isfinite(found)
    m, f = moved[both], found[both]
    size = float(m @ m)
    if size == 0:
        return False
    share = float(m @ f) / size
    error = float(np.sqrt(((m * (f - share * m)) ** 2).sum())) / size
    return share + 2 * error < 0.5
