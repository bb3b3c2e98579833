"""Are predicted latencies right? Fits to 60 % of the networks, 20 times, against what a clock says of the others.

    python benchmarks/prediction.py [--runtime openvino] [--splits 20] [--again]
    python benchmarks/prediction.py --every 3 --passes 3    # one network of three, in as many passes as the gate needs
    python benchmarks/prediction.py --fresh         # a fit to all networks, and others that nobody looked at
    python benchmarks/prediction.py --orders        # fp32, fp16, int8, int4 of a network, in the right order?
    python benchmarks/prediction.py --memory        # private memory, each network left out of its fit
    python benchmarks/prediction.py --compile       # only compile what will be measured, which needs no quiet machine
    python benchmarks/prediction.py --minutes 7     # measure for seven minutes; the same command again goes on
    python benchmarks/prediction.py --runtime litert --beside ort   # of the models that both measured: as good as the other's?
    python benchmarks/prediction.py --second        # two calibrations, their passes in turn: how far do predictions move?

Thread CPU time of one thread, interleaved passes.
Measurements and the bundles that are measured are kept in .cache/prediction; --again measures anew (ten minutes on a machine that does
nothing else), --compile compiles anew. The machine's own floor, repeated passes of one model, stands
beside. Exit code 1: something is beyond its bound.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import prediction_judge as judge
from prediction_beside import beside, in_both
from prediction_judge import Prediction
from prediction_raw import (
    KEPT,
    PASSES,
    TARGETS,
    TWICE,
    forms_of,
    fresh_of,
    in_turn,
    measured,
    memory_measured,
    name_of,
    networks_of,
    prepared,
)

from autoglmc.compiler.calibrate.fit_memory import fit_memory
from autoglmc.compiler.calibrate.fit_memory import predicted as predicted_memory
from autoglmc.compiler.calibrate.fit_write import memory_text
from autoglmc.compiler.calibrate.measure_here import Subject
from autoglmc.compiler.calibrate.records import Measurement
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.plan.memory_needs import held_weights

LEAST = {0.10: 0.73, 0.15: 0.82, 0.20: 0.88}
GOAL = {0.10: 0.75, 0.15: 0.85, 0.20: 0.92}
MOST_MEDIAN, MOST_NUMBERS, COVERAGE, LEAST_KEPT = 0.05, 45, (0.85, 0.95), 0.93
NAMES = {"ort": "onnxruntime", "openvino": "openvino", "litert": "litert"}
"""What measurements call the runtimes."""
OTHER = 0.05
"""By how much another runtime than onnxruntime may be worse."""
WITH_FORMS = (
    "resnet18_224", "mobilenet_v2_224", "vit_tiny_224", "bert_small_128", "llama_48", "llama_step_128", "convnext_192", "whisper_tiny_300",
)  # fmt: skip
TWELVE = (
    "resnet18_224", "mobilenet_v2_224", "efficientnet_b0_224", "yolov5_320", "unet_128", "vit_tiny_224", "bert_small_128", "llama_48",
    "whisper_tiny_300", "ppocr4_det", "swin_micro_224", "lstm_language_48",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=list(TARGETS), default="ort")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--orders", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--beside", choices=list(TARGETS), metavar="RUNTIME")
    options = parser.parse_args()
    target = load_target(TARGETS[options.runtime])
    judge.TARGET.update(dict.fromkeys(NAMES.values(), target))
    if options.beside:
        return _beside(options, target)
    if options.memory:
        return _memory(options.runtime, options.again)
    if options.compile:
        return _compile(options.runtime, options.every)
    if options.second:
        return _second(options, target)
    again = options.again and not (options.fresh or options.orders)  # those measure something else anew
    found = measured(
        options.runtime, name_of(options.every), partial(networks_of, every=options.every), again, options.minutes, options.passes
    )
    _print_floor(found)
    if options.fresh:
        return _fresh(options, found, target)
    if options.orders:
        return _orders(options, found, target)
    return _held_out(options.runtime, found, target, options.splits)


def _compile(runtime: str, every: int) -> int:
    others: list[tuple[str, Callable[[], list[Subject]]]] = [("fresh", fresh_of), ("forms", lambda: forms_of(WITH_FORMS))]
    for what, subjects in ((name_of(every), partial(networks_of, every=every)), *(others if every == 1 else [])):
        shutil.rmtree(KEPT / f"{runtime}.{what}.bundles", ignore_errors=True)
        made = prepared(runtime, what, subjects)
        print(f"{what}: {len(made.models)} models, {len(made.kernels)} kernels")
        for one in made.failed:
            print(f"  not {one.case}: {one.why}")
    return 0


def _print_floor(found: Measurement) -> None:
    whole = [s for s in found.segments if not s.single]
    floors = np.quantile([s.floor for s in whole], (0.5, 0.9))
    print(f"{found.runtime}: {len(whole)} models of {len({s.network for s in whole})} networks, {len(found.segments) - len(whole)} kernels")
    print(f"floor: repeated passes of a model differ by {floors[0]:.1%} (median), {floors[1]:.1%} (p90)")


def _held_out(runtime: str, found: Measurement, target: object, splits: int) -> int:
    every, shares, numbers = _predicted(runtime, found, target, splits)
    _print_whole(every)
    return _verdict(runtime, every, shares, numbers)


def _predicted(runtime: str, found: Measurement, target: object, splits: int) -> tuple[list[Prediction], Sequence[float], int]:
    """Of the networks that each split holds out; the mean shares of the splits, and the numbers of the largest fit."""
    whole = [s for s in found.segments if not s.single and s.latency]
    every: list[Prediction] = []
    numbers, shares = [], []
    for training in judge.halves([s.network for s in whole], splits):
        fitted = judge.trained(found, training)
        calibrated = judge.through_the_language(fitted, TARGETS[runtime], target)  # type: ignore[arg-type]
        made = [judge.predict(calibrated, s) for s in whole if s.network not in training]
        numbers.append(fitted.calibration.numbers)
        shares.append([np.mean([one.error <= bound for one in made]) for bound in LEAST])
        every += made
        print(f"  split {len(shares)}: {' / '.join(f'{share:.0%}' for share in shares[-1])}", file=sys.stderr)
    return every, np.mean(shares, axis=0).tolist(), max(numbers)


def _beside(options: argparse.Namespace, target: object) -> int:
    """Both in the same splits, from what is kept of them or measured now."""
    one, other = options.runtime, options.beside
    targets = {one: target, other: load_target(TARGETS[other])}
    judge.TARGET.update({NAMES[runtime]: targets[runtime] for runtime in targets})
    both = [
        measured(runtime, name_of(options.every), partial(networks_of, every=options.every), False, options.minutes, options.passes)
        for runtime in targets
    ]
    found = [_predicted(runtime, kept, targets[runtime], options.splits)[0] for runtime, kept in zip(targets, in_both(*both), strict=True)]
    return beside(list(targets), found, list(LEAST))


def _print_whole(every: Sequence[Prediction]) -> None:
    """Of models that are one segment: one that is cut into thirty counts thirty times else."""
    alone = [one for one in every if " segment " not in one.case]
    if alone:
        texts = " / ".join(f"{np.mean([one.error <= bound for one in alone]):.1%}" for bound in LEAST)
        print(f"{len({one.case for one in alone})} models in one segment, within 10 / 15 / 20 %: {texts}")


def _fresh(options: argparse.Namespace, found: Measurement, target: object) -> int:
    """Once: a fit to every network of the benchmark, and the networks that no class was settled with."""
    runtime = options.runtime
    others = measured(runtime, "fresh", fresh_of, options.again, options.minutes)
    fitted = judge.trained(found, frozenset(s.network for s in found.segments))
    calibrated = judge.through_the_language(fitted, TARGETS[runtime], target)  # type: ignore[arg-type]
    made = [judge.predict(calibrated, s) for s in others.segments if s.latency]
    print(f"{len(made)} models of {len({one.network for one in made})} networks that no fit has seen")
    shares = np.array([np.mean([one.error <= bound for one in made]) for bound in LEAST])
    return _verdict(runtime, made, shares, fitted.calibration.numbers)


def _verdict(runtime: str, every: list[Prediction], shares: Sequence[float], numbers: int) -> int:
    slack, wrong = 0.0 if runtime == "ort" else OTHER, []
    for (bound, least), share in zip(LEAST.items(), shares, strict=True):
        low, high = judge.bootstrap(every, bound)
        print(f"within {bound:.0%}: {share:.1%}  (bootstrap {low:.0%}..{high:.0%}; bound {least - slack:.0%}, goal {GOAL[bound]:.0%})")
        wrong += [f"within {bound:.0%}"] * bool(share < least - slack)
    median = float(np.median([one.error for one in every]))
    kept = [one for one in every if one.half is not None]
    covered = float(np.mean([one.covered for one in kept])) if kept else 0.0
    near = float(np.mean([one.error <= 0.20 for one in kept])) if kept else 0.0
    print(f"median error {median:.1%} (bound {MOST_MEDIAN:.0%}); at most {numbers} numbers (bound {MOST_NUMBERS})")
    print(f"refused {1 - len(kept) / len(every):.1%}; of the others {near:.1%} within 20 % (bound {LEAST_KEPT:.0%})")
    width = np.median([one.half for one in kept]) if kept else float("nan")
    print(f"the 90 % interval covers {covered:.1%} (bound {COVERAGE[0]:.0%}..{COVERAGE[1]:.0%}), median half width {width:.1%}")
    wrong += ["median"] * bool(median > MOST_MEDIAN + slack) + ["numbers"] * (numbers > MOST_NUMBERS)
    wrong += ["not refused within 20 %"] * bool(near < LEAST_KEPT - slack) + ["coverage"] * bool(not COVERAGE[0] <= covered <= COVERAGE[1])
    cases = {one.case: [p for p in every if p.case == one.case] for one in every}
    print("worst:")
    for case, mine in sorted(cases.items(), key=lambda pair: -np.mean([p.error for p in pair[1]]))[:10]:
        print(f"  {case:28} {mine[0].measured * 1e3:8.3f} ms, predicted {np.mean([p.predicted for p in mine]) * 1e3:8.3f}, "
              f"outside {np.mean([p.outside for p in mine]):.0%}")  # fmt: skip
    print(f"beyond its bound: {', '.join(wrong)}" if wrong else "all within bounds")
    return 1 if wrong else 0


def _orders(options: argparse.Namespace, found: Measurement, target: object) -> int:
    """Forms of a network by a fit to all networks, and to the forms of the others."""
    runtime = options.runtime
    forms = measured(runtime, "forms", lambda: forms_of(WITH_FORMS), options.again, options.minutes)
    by_model: dict[str, list[tuple[str, Prediction, float]]] = {}
    for network in dict.fromkeys(segment.network for segment in forms.segments):
        both = replace(found, segments=(*found.segments, *forms.segments))
        fitted = judge.trained(both, frozenset(s.network for s in both.segments) - {network}, with_holdout=False)
        calibrated = judge.through_the_language(fitted, TARGETS[runtime], target)  # type: ignore[arg-type]
        for segment in (one for one in forms.segments if one.network == network):
            name, _, kind = segment.case.partition(" ")
            by_model.setdefault(name, []).append((kind, judge.predict(calibrated, segment), segment.floor))
    wrong = pairs = 0
    for name, rows in by_model.items():
        print(
            name, "  ".join(f"{kind} {one.measured * 1e3:.2f}/{one.predicted * 1e3:.2f}" for kind, one, _ in rows), "ms measured/predicted"
        )
        for (a, one, floor), (b, other, further) in itertools.combinations(rows, 2):
            if abs(one.measured / other.measured - 1) <= max(0.05, 2 * max(floor, further)):
                continue  # no order that the machine could tell
            pairs += 1
            if (one.measured < other.measured) != (one.predicted < other.predicted):
                wrong += 1
                print(f"  wrong order: {a} and {b}")
    print(f"{wrong} of {pairs} pairs in the wrong order")
    return 1 if wrong or not pairs else 0


def _memory(runtime: str, again: bool) -> int:
    """Every network is predicted by a fit without it; the bounds are on twelve that were chosen before anything was fitted."""
    rows = memory_measured(runtime, again)
    models = {name: fit_memory([row for row in rows if row.network != name]) for name in {row.network for row in rows}}
    ratios = {}
    for one in rows:
        model = models[one.network]
        assert model is not None
        guess = predicted_memory(model, one)
        ratios[one.case] = guess / one.private
        if one.case in TWELVE:
            weights, working = held_weights(one.needs, model), guess - model.base - held_weights(one.needs, model)
            terms = " + ".join(
                f"{size / 2**20:.1f} {name}" for name, size in (("base", model.base), ("weights", weights), ("working", working))
            )
            print(
                f"{one.case:24} {one.private / 2**20:7.1f} MiB measured, {guess / 2**20:7.1f} predicted ({terms}), {ratios[one.case]:.2f}x"
            )
    every, off = _errors(list(ratios.values())), _errors([ratio for case, ratio in ratios.items() if case in TWELVE])
    for what, errors in (("the twelve", off), ("all", every)):
        shares = ", ".join(f"within {bound:.0%}: {np.sum(errors <= bound)}" for bound in (0.15, 0.25, 0.40))
        print(f"{what}: {shares} of {len(errors)}; median {np.median(errors):.1%}")
    worst = sorted(ratios, key=lambda case: -max(ratios[case], 1 / ratios[case]))[:10]
    print(f"worst: {', '.join(f'{case} {ratios[case]:.2f}x' for case in worst)}")
    whole = fit_memory(rows)
    assert whole is not None
    print(f"fitted to all: memory {memory_text(whole)}")
    return 0 if len(off) >= 12 and np.sum(off <= 0.25) >= 10 and np.all(off <= 0.40) else 1


def _errors(ratios: Sequence[float]) -> np.ndarray:
    """Too little counts like too much: half is as far as twice."""
    return np.array([max(ratio, 1 / ratio) - 1 for ratio in ratios])


def _second(options: argparse.Namespace, target: object) -> int:
    """Passes of two calibrations in turn; how far the measurements themselves moved is printed too."""
    runtime = options.runtime
    found, other = in_turn(runtime, TWICE, networks_of, options.again, options.minutes)
    both = {s.case for s in found.segments} & {s.case for s in other.segments}  # what one alone has would move the other's rates
    found, other = (replace(one, segments=tuple(s for s in one.segments if s.case in both)) for one in (found, other))
    everyone = frozenset(s.network for s in found.segments)
    targets = [judge.through_the_language(judge.trained(one, everyone), TARGETS[runtime], target) for one in (found, other)]  # type: ignore[arg-type]
    whole = [s for s in found.segments if not s.single and s.latency]
    floor = float(np.median([s.floor for s in whole]))
    later = {s.case: s.latency for s in other.segments if not s.single and s.latency}
    drift = np.array([later[s.case] / s.latency - 1 for s in whole])
    beyond = np.mean(np.abs(drift) > 2 * floor)
    print(f"{len(whole)} models were measured twice: {np.median(drift):+.1%} (median), {beyond:.1%} by more than twice the floor")
    moved = [abs(judge.predict(targets[1], s).predicted / judge.predict(targets[0], s).predicted - 1) for s in whole]
    share = float(np.mean([one > 2 * floor for one in moved]))
    print(f"a second calibration moves predictions by {np.median(moved):.1%} (median), {max(moved):.1%} at most")
    print(f"{share:.1%} of them by more than twice the floor of {floor:.1%} (bound 10 %)")
    return 1 if share > 0.10 else 0


if __name__ == "__main__":
    raise SystemExit(main())
