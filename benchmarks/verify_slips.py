"""Does `verify` refuse wrong models, and only wrong ones?

    python benchmarks/verify_slips.py [--right | --slips] [--models NAME …] [--kinds WORD …] [--targets NAME …] [--sites 3] [--seed 0]

Right models: each for every stock target must be verified, with at least 95 % of its outputs exercised. Wrong models: each kind of mistake
(benchmarks/slips/*_kinds.py) is made at the first, the last and a middle site of every model; its effect is measured in float64 on inputs
that the verification does not use, in units of what rounding does to the right model there. Where a mistake has a strength, it is made in
those whose effect is 1.5, 3 and 10 times rounding. The wrong model is compiled, the manifest is given the right model's hash, so that only
numbers can tell; one whose effect is beyond rounding and that is verified is a survivor. The exit code is 1 where less than 99 % are
refused, or a right model is not verified. Models of /work/shared/models (or $AUTOGLMC_SHARED/models) that are not here are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from slips.campaign import KINDS, Right, Slip, right, slips
from slips.effect import Truth
from slips.judged import Judge
from slips.real_models import real_models
from slips.small_nets import small_models
from slips.subject import Subject
from slips.tables import right_table, share, slip_table

from autoglmc.targets.stock import stock_names

CAUGHT = 0.99
FRESH = 4
"""Sets of inputs that effects are measured on."""
SLIP_TARGETS = ("x86_cpu", "a16")


def subjects(folder: Path, wanted: Sequence[str], seed: int) -> list[Subject]:
    """The models asked for; says which are not here."""
    found: list[Subject] = [*small_models(folder, seed)]
    for one in real_models():
        if isinstance(one, str):
            print(f"left out: {one}")
        else:
            found.append(one)
    known = [one.name for one in found]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"unknown or not here: {', '.join(unknown)}; known: {', '.join(known)}")
    return [one for one in found if not wanted or one.name in wanted]


class Progress:
    """What is being done, and how long it may go on: on standard error."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.begin = total, 0, time.perf_counter()

    def next(self, what: str) -> None:
        """A model is done."""
        self.done += 1
        passed = time.perf_counter() - self.begin
        left = passed / self.done * (self.total - self.done)
        print(f"[{self.done}/{self.total}] {what}; {passed / 60:.1f} min passed, about {left / 60:.1f} left", file=sys.stderr, flush=True)

    def tell(self, what: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{what[:110]}", end="\r", file=sys.stderr, flush=True)


def rights(found: Sequence[Subject], targets: Sequence[str], folder: Path) -> list[Right]:
    """Every model on every target."""
    progress, rows = Progress(len(found)), []
    for subject in found:
        truth = Truth(subject, 1)
        rows += [right(truth, target, folder) for target in targets]
        progress.next(subject.name)
    return rows


def wrongs(found: Sequence[Subject], targets: Sequence[str], words: Sequence[str], sites: int, folder: Path) -> list[Slip]:
    """Every mistake in every model. Where the right model itself is refused, refusing wrong ones says nothing: none is made."""
    kinds = [kind for kind in KINDS if not words or any(word in kind.name for word in words)]
    progress, rows = Progress(len(found)), []
    for subject in found:
        truth = Truth(subject, FRESH)
        with contextlib.ExitStack() as stack:
            judges = [stack.enter_context(Judge(truth, target, folder)) for target in targets]
            good = [judge for judge in judges if judge.usable()]
            for judge in judges:
                if judge not in good or judge.without:
                    how = "only without " + ", ".join(judge.without) if judge in good else "not at all, so no wrong one is tried"
                    print(f"{subject.name} for {judge.target}: the right model is verified {how}")
            made = list(slips(truth, good, kinds, sites, progress.tell)) if good else []
        rows += made
        survived = sum(slip.outcome == "survived" for slip in made)
        progress.next(f"{subject.name}: {sum(slip.counted for slip in made)} slips, {survived} survived")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--right", action="store_true", help="only the right models")
    parser.add_argument("--slips", action="store_true", help="only the wrong ones")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--kinds", nargs="+", default=[], metavar="WORD", help="kinds of mistake whose name has one of these")
    parser.add_argument("--targets", nargs="+", default=[], metavar="NAME", help="default: every stock target; for slips x86_cpu and a16")
    parser.add_argument("--sites", type=int, default=3, help="of each kind in each model (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="other weights in the small models (default: 0, the weights they come with)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    good: list[Right] = []
    bad: list[Slip] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = subjects(folder, options.models, options.seed)
        if options.right or not options.slips:
            good = rights(found, options.targets or stock_names(), folder)
            print("\n".join(right_table(good)), end="\n\n", flush=True)
        if options.slips or not options.right:
            bad = wrongs(found, options.targets or SLIP_TARGETS, options.kinds, options.sites, folder)
            print("\n".join(slip_table(bad)))
    if options.json:
        options.json.write_text(json.dumps({"right": [asdict(one) for one in good], "slips": [asdict(one) for one in bad]}, indent=1))
    wrong = [f"{one.model} for {one.target}" for one in good if not one.holds]
    if wrong or share(bad) < CAUGHT:
        raise SystemExit(f"caught {share(bad):.2%} of the slips; right models that are not verified: {', '.join(wrong) or 'none'}")


if __name__ == "__main__":
    main()
