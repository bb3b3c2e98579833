"""Which operators of a .tflite file LiteRT's events are about. LiteRT is not needed."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.calibrate.measure.join import LAYOUT
from autoglmc.compiler.calibrate.measure.litert_names import KINDS, reported
from autoglmc.compiler.devices.litert.operators import FileOperator
from autoglmc.compiler.devices.litert.profiler import Event

TAGS = ("Add", "Convolution", "Copy", "Slice", "none of LiteRT's")
CODES = ("ADD", "CONV_2D", "RESHAPE", "SPLIT", "SIN")


def event(kind: str, microseconds: int = 1, delegated: bool = True, index: int = 1) -> Event:
    return Event(kind, delegated, index, microseconds)


def most(tags: tuple[str, ...], codes: tuple[str, ...]) -> int:
    """The longest common subsequence, by its definition."""

    @cache
    def longest(i: int, j: int) -> int:
        if i == len(tags) or j == len(codes):
            return 0
        paired = 1 + longest(i + 1, j + 1) if codes[j] in KINDS.get(tags[i], ()) else 0
        return max(paired, longest(i + 1, j), longest(i, j + 1))

    return longest(0, 0)


@given(st.lists(st.sampled_from(TAGS), max_size=9), st.lists(st.sampled_from(CODES), max_size=9))
def test_as_many_events_as_can_be_are_paired_in_order_and_the_rest_where_kinds_fit(tags: list[str], codes: list[str]) -> None:
    operators = [FileOperator(code, (f"t{number}",)) for number, code in enumerate(codes)]
    (found,) = reported([[event(f"{tag} (NHWC, F32)") for tag in tags]], operators)
    pairs = [(tag, int(one.others[0][1:])) for tag, one in zip(tags, found, strict=True) if one.others]
    assert all(codes[place] in KINDS[tag] for tag, place in pairs)
    taken = {place for _, place in pairs}
    assert len(taken) == len(pairs) >= most(tuple(tags), tuple(codes))
    alone = [tag for tag, one in zip(tags, found, strict=True) if not one.others]
    left = {code for place, code in enumerate(codes) if place not in taken}
    assert not any(left & KINDS.get(tag, frozenset()) for tag in alone)


def names(events: list[Event], operators: list[FileOperator]) -> list[tuple[str, ...]]:
    (found,) = reported([events], operators)
    return [(*one.others, *one.near)[:1] for one in found]


def test_a_convolution_of_one_pixel_is_a_product_for_xnnpack() -> None:
    """Not left to its neighbours: an Add would have a convolution's time."""
    operators = [
        FileOperator(code, (name,)) for code, name in (("CONV_2D", "a"), ("DEPTHWISE_CONV_2D", "b"), ("CONV_2D", "c"), ("ADD", "d"))
    ]
    ran = ("Fully Connected (NC, F32) GEMM", "Convolution (NHWC, F32) DWConv", "Fully Connected (NC, F32) GEMM", "Add (ND)")
    assert names([event(kind) for kind in ran], operators) == [("a",), ("b",), ("c",), ("d",)]


def test_an_activation_that_xnnpack_runs_apart_belongs_to_the_operator_that_has_it_inside() -> None:
    operators = [FileOperator(code, (name,)) for code, name in (("ADD", "a"), ("CONV_2D", "b"))]
    ran = ("Add (ND)", "Clamp (NC)", "Convolution (NHWC, F32) IGEMM")
    assert names([event(kind) for kind in ran], operators) == [("a",), ("a",), ("b",)]


def test_what_only_turns_the_borders_of_a_file_is_a_change_of_layout() -> None:
    """It is none between two operators, nor where nothing works channels last."""

    def kinds(code: str) -> list[str]:
        chain = (("TRANSPOSE", "x", "a"), (code, "a", "b"), ("TRANSPOSE", "b", "c"), ("ADD", "c", "d"), ("TRANSPOSE", "d", "y"))
        operators = [FileOperator(kind, (after,), (before,)) for kind, before, after in chain]
        tags = ("Transpose", "Convolution" if code == "CONV_2D" else "Abs", "Transpose", "Add", "Transpose")
        (found,) = reported([[event(f"{tag} (ND)") for tag in tags]], operators)
        return [one.kind for one in found]

    assert [kind == LAYOUT for kind in kinds("CONV_2D")] == [True, False, False, False, True]
    assert LAYOUT not in kinds("ABS")


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_every_run_has_its_own_times_under_the_same_names(times: list[list[int]]) -> None:
    operators = [FileOperator("ADD", ("a",)), FileOperator("SIN", ("b",)), FileOperator("CONV_2D", ("c",))]
    kinds = (("Add (ND)", True), ("SIN", False), ("Convolution (NHWC)", True))
    runs = [[event(kind, t, delegated) for (kind, delegated), t in zip(kinds, row, strict=True)] for row in times]
    found = reported(runs, operators)
    assert [[one.seconds for one in run] for run in found] == [[t * 1e-6 for t in row] for row in times]
    assert {tuple(one.others for one in run) for run in found} == {(("a",), ("b",), ("c",))}


def test_runs_in_which_other_events_occur_are_paired_anew() -> None:
    operators = [FileOperator("ADD", ("a",)), FileOperator("CONV_2D", ("c",))]
    first, second = reported([[event("Add (ND)")], [event("Convolution (NHWC)")]], operators)
    assert (first[0].others, second[0].others) == (("a",), ("c",))
