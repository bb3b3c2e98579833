"""The search for relaxations against all that a table of plans allows: what it names works, and nothing smaller of one bound was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_target

from autoglmc.compiler.hw.bounds import bounds_of, permitted
from autoglmc.compiler.relax.search import search
from autoglmc.compiler.relax.texts import SMALLEST, sentences
from autoglmc.compiler.relax.trial import Key, Outcome, Relaxation, Trials, changed
from autoglmc.targets.model import Limit, Target

KINDS: tuple[tuple[str, str, str], ...] = (
    ("latency", "", "<="), ("fps", "", ">="), ("power", "avg", "<="), ("accuracy", "cosine", ">="), ("partitions", "cpu", "<="),
)  # fmt: skip
Plan = Mapping[Key, float]


def machine(allowed: Mapping[Key, float], size: int, budget: int) -> Target:
    limits = [
        Limit(kind=kind, subject=subject, comparison=sign, value=allowed[kind, subject], text="", origin=HERE)  # type: ignore[arg-type]
        for kind, subject, sign in KINDS
        if (kind, subject) in allowed
    ]
    target = make_target([make_cpu()], [], limits=limits)
    return replace(target, memories=(replace(target.memories[0], size=size, budget=budget),))


def kept(target: Target, plans: Sequence[Plan]) -> Outcome:
    """The first plan that keeps everything, as the compiler takes the fastest."""
    bounds = {bound.key: bound for bound in bounds_of(target)}
    for plan in plans:
        held = plan["budget", "dram"] <= target.memories[0].budget
        if held and not any(bound.beyond(plan[key]) for key, bound in bounds.items()):
            return Outcome({key: value for key, value in plan.items() if key in bounds or key[0] == "budget"})
    return Outcome(None, "too much")


def write(target: Target, relaxation: Relaxation) -> tuple[Target, Relaxation] | None:
    made = changed(target, [replace(c, value=next(c.bound.spellings(c.value))[0]) for c in relaxation])
    return (made, tuple(replace(c, statement=next(c.bound.spellings(c.value))[1]) for c in relaxation)) if permitted(made) else None


@st.composite
def cases(draw: st.DrawFn) -> tuple[Target, list[Plan]]:
    amounts = st.integers(1, 40)

    def value(kind: str) -> float:
        return 1 - draw(amounts) / 100 if kind == "accuracy" else float(draw(amounts))

    keys = {(kind, subject): value(kind) for kind, subject, _ in draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))}
    plans = [
        {**{(kind, subject): value(kind) for kind, subject, _ in KINDS}, ("budget", "dram"): float(draw(amounts))}
        for _ in range(draw(st.integers(1, 6)))
    ]
    size = draw(amounts)
    return machine(keys, size, draw(st.integers(1, size))), plans


def alone(target: Target, plans: Sequence[Plan]) -> dict[Key, float]:
    """Of every bound the tightest value that would do alone, by trying what each plan needs."""
    found: dict[Key, float] = {}
    for bound in bounds_of(target):
        enough = [
            p[bound.key] for p in plans if kept(bound.at(target, p[bound.key]), plans).values and permitted(bound.at(target, p[bound.key]))
        ]
        if enough:
            found[bound.key] = min(enough) if bound.most else max(enough)
    return found


@settings(max_examples=300)
@given(cases())
def test_of_every_single_bound_the_smallest_change_is_found_and_all_that_is_named_works(case: tuple[Target, list[Plan]]) -> None:
    target, plans = case
    if kept(target, plans).values is not None:
        return
    trials = Trials(lambda t: kept(t, plans), 10_000)
    found, free = search(target, trials, Trials(lambda t: kept(t, plans), 10_000), write)
    for relaxation in found:
        made = write(target, relaxation)
        assert made is not None and kept(made[0], plans).values is not None
        for left in relaxation:  # none of several could be left out
            if len(relaxation) > 1:
                assert kept(changed(target, [c for c in relaxation if c is not left]), plans).values is None
    best = alone(target, plans)
    singles = {relaxation[0].bound.key: relaxation[0].value for relaxation in found if len(relaxation) == 1}
    assert bool(singles) == bool(best)
    assert all(value == best[key] for key, value in singles.items())
    factors = [relaxation[0].far for relaxation in found if len(relaxation) == 1]
    assert factors == sorted(factors)
    if best:
        assert factors[0] == min(bound.far_of(best[bound.key]) for bound in bounds_of(target) if bound.key in best)
    assert (free.values is None) == (kept(_free(target), plans).values is None)


def _free(target: Target) -> Target:
    for bound in bounds_of(target):
        target = bound.at(target, bound.unlimited)
    return target


@given(cases())
def test_the_sentences_say_and_where_all_are_needed(case: tuple[Target, list[Plan]]) -> None:
    target, plans = case
    if kept(target, plans).values is not None:
        return
    found, free = search(target, Trials(lambda t: kept(t, plans), 999), Trials(lambda t: kept(t, plans), 999), write)
    texts = sentences(found, free, cut=False)
    assert len(texts) == max(len(found), 1)
    for text, relaxation in zip(texts, found, strict=False):
        assert text.count("`") == 2 * len(relaxation)
        assert ("both" in text) == (len(relaxation) == 2) and ("all of" in text) == (len(relaxation) > 2)
    assert texts[0].startswith(SMALLEST) == bool(found)
    if not found and free.values is None:
        assert texts[0].endswith("too much")


def test_what_takes_too_many_trials_is_not_named() -> None:
    target = machine({("latency", ""): 1.0}, 10, 10)
    plans = [{("latency", ""): 2.0, ("budget", "dram"): 1.0}]
    trials = Trials(lambda t: kept(t, plans), 1)
    found, free = search(target, trials, Trials(lambda t: kept(t, plans), 1), write)
    assert found == () and trials.cut and "was found" in sentences(found, free, cut=True)[0]
