"""Measure many segments in interleaved passes, so that what disturbs the machine for a while disturbs no single one in all passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ....targets.model import Device, Target
from ...errors import UserError
from ..records import MeasuredKernel, MeasuredSegment
from .expanded import join_expanded
from .gate import AGREEING, Judged, judge_chunks, judge_profile
from .join import LAYOUT, Joined, join
from .overhead import Overhead, of_model, refined
from .segment_kernels import SegmentKernels, segment_kernels
from .source import Profile, Runnable, Source
from .time_left import TimeLeft

PROFILED = 2
"""Passes that are profiled too."""
PREPARING = 0.05
RETRIES = 3
"""Further passes over what the gate refused."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A segment to be measured."""

    network: str
    case: str
    path: Path
    single: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds of running per case and pass."""

    latency: float = 0.35
    profile: float = 0.6
    passes: int = AGREEING

    def planned(self, number: int) -> float:
        """Seconds of one case in a pass, that of preparing it included."""
        return PREPARING + self.latency + (self.profile if number < PROFILED else 0.0)


@dataclass(frozen=True, slots=True)
class Refused:
    """A case that the gate, or the runtime, refused."""

    case: str
    why: str


@dataclass(slots=True)
class _Job:
    case: Case
    model: Runnable
    kernels: SegmentKernels
    chunks: list[float] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    failed: str = ""

    def judge(self, overhead: Overhead) -> tuple[Judged, Profile | None, str]:
        """What its chunks say, the quietest profile, and why they cannot be believed."""
        judged = judge_chunks(self.chunks)
        profile = min((one.at(judged.seconds) for one in self.profiles), key=lambda one: one.seconds, default=None)
        fault = judged.fault or (judge_profile(profile, judged.seconds, overhead) if profile else "")
        return judged, profile, self.failed or fault


@dataclass(slots=True)
class Passes:
    """Cases that are being measured, pass by pass. It can be pickled between two passes, and goes on in another process."""

    jobs: list[_Job]
    refused: list[Refused]
    done: int = 0

    @classmethod
    def over(cls, cases: Sequence[Case], target: Target, device: Device) -> Passes:
        """Before the first pass; a case whose file cannot be read is refused."""
        return cls(*_open(cases, target, device))

    def run(self, source: Source, budget: Budget, tell: Callable[[Case], None], ended: Callable[[], None] = lambda: None) -> None:
        """One pass over all: `tell` before each case, `ended` after it."""
        for job in self.jobs:
            tell(job.case)
            _pass(job, source, budget, self.done < PROFILED)
            ended()
        self.done += 1

    def refined(self, overhead: Overhead) -> Overhead:
        """With what the profiler took of these."""
        seen = [(min(job.profiles, key=lambda one: one.seconds), min(job.chunks)) for job in self.jobs if job.profiles]
        return refined(overhead, seen)

    def doubtful(self, overhead: Overhead) -> list[_Job]:
        """What the gate would refuse now, and another pass may mend."""
        return [job for job in self.jobs if not job.failed and job.judge(overhead)[2]]

    def settled(self, overhead: Overhead) -> tuple[tuple[MeasuredSegment, ...], tuple[Refused, ...]]:
        """Every case that could be measured, and those that could not with the reason."""
        made, refused = [], list(self.refused)
        for job in self.jobs:
            judged, profile, fault = job.judge(overhead)
            if fault:
                refused.append(Refused(job.case.case, fault))
            else:
                made.append(measured(job.case, job.kernels, judged, profile, overhead))
        return tuple(made), tuple(refused)


def measure_cases(
    cases: Sequence[Case],
    target: Target,
    device: Device,
    source: Source,
    overhead: Overhead,
    budget: Budget,
    tell: Tell,
    left: TimeLeft | None = None,
    stage: str = "models",
) -> tuple[tuple[MeasuredSegment, ...], tuple[Refused, ...]]:
    """Every case that could be measured, and those that could not with the reason; the order is that of `cases`. `left`: what the whole
    measurement still takes, this one being its `stage`."""
    left = left or TimeLeft()
    passes = Passes.over(cases, target, device)
    left.begin()
    for number in range(budget.passes):
        text, planned = f"pass {number + 1} of {budget.passes}", budget.planned(number)
        passes.run(source, budget, partial(_tell_case, tell, text, left), partial(left.done, stage, planned))
    overhead = passes.refined(overhead)
    for number in range(RETRIES):
        again = passes.doubtful(overhead)
        left.plan(stage, len(again) * budget.planned(0))
        left.begin()
        for job in again:
            tell(f"measured again ({number + 1} of {RETRIES}): {job.case.case}: {job.judge(overhead)[2]}{left}")
            _pass(job, source, budget, True)
            left.done(stage, budget.planned(0))
    return passes.settled(overhead)


def _tell_case(tell: Tell, text: str, left: TimeLeft, case: Case) -> None:
    tell(f"{text}: {case.case}{left}")


def _open(cases: Sequence[Case], target: Target, device: Device) -> tuple[list[_Job], list[Refused]]:
    import onnx

    jobs, refused = [], []
    for case in cases:
        try:
            model = onnx.load_model(case.path)
            jobs.append(_Job(case, Runnable.of(case.path, model), segment_kernels(model, target, device)))
        except UserError as problem:
            refused.append(Refused(case.case, problem.message))
    return jobs, refused


def _pass(job: _Job, source: Source, budget: Budget, profiled: bool) -> None:
    if job.failed:
        return
    try:
        job.chunks.append(source.latency(job.model, budget.latency).seconds)
        if profiled:
            job.profiles.append(replace(source.profile(job.model, job.chunks[-1], budget.profile), beside=job.chunks[-1]))
    except UserError as problem:
        job.failed = problem.message


def measured(case: Case, kernels: SegmentKernels, judged: Judged, profile: Profile | None, overhead: Overhead) -> MeasuredSegment:
    """The record of a case; seconds of operators without their launch and without what the profiler takes."""
    reported = () if profile is None else profile.reported
    overhead = overhead if profile is None else of_model(overhead, profile, judged.seconds)
    net = [replace(one, seconds=max(0.0, one.seconds - one.calls * overhead.profiler)) for one in reported]
    alone = [one for one in net if case.single and one.kind == LAYOUT]
    joined = join_expanded(kernels.kernels, join(kernels.kernels, [one for one in net if one not in alone]))
    return MeasuredSegment(
        network=case.network,
        case=case.case,
        kernels=tuple(_kernels(kernels, joined)),
        weight_bytes=kernels.weight_bytes,
        latency=judged.seconds - sum(one.seconds for one in alone),
        floor=judged.floor,
        unjoined=joined.unjoined,
        single=case.single,
    )


def _kernels(kernels: SegmentKernels, joined: Joined) -> Iterator[MeasuredKernel]:
    for number, kernel in enumerate(kernels.kernels):
        seconds = joined.seconds.get(number)
        yield MeasuredKernel(name=kernel.name, views=kernel.views, compute_dtype=kernel.compute_dtype, seconds=seconds)
