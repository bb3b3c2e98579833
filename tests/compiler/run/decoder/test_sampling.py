"""Tokens are drawn from those that may be, as often as their logits say, and the same ones again with the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.run.decoder.sampling import Sampling, draw

LOGITS = st.lists(st.sampled_from([-np.inf, -3.0, -1.0, 0.0, 0.5, 2.0, 2.5]), min_size=1, max_size=12).filter(lambda x: max(x) > -np.inf)


def allowed(logits: np.ndarray, sampling: Sampling) -> set[int]:
    """By sorting all of them."""
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[: sampling.top_k or None]
    weights = np.exp((logits[order] - logits.max()) / sampling.temperature)
    count, total = 0, 0.0
    while count < len(order) and (total < sampling.top_p * weights.sum() * (1 - 1e-12) or count == 0):
        total += weights[count]
        count += 1
    return {token for token, weight in zip(order[:count], weights, strict=False) if weight > 0}


@given(logits=LOGITS, temperature=st.sampled_from([0.3, 1.0, 2.0]), top_k=st.integers(0, 14), top_p=st.sampled_from([0.05, 0.5, 0.93, 1.0]))
def test_only_the_likeliest_are_drawn_and_each_of_them_is(logits: list[float], temperature: float, top_k: int, top_p: float) -> None:
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    values, may = np.array(logits, np.float32), allowed(np.array(logits), sampling)
    found = {draw(values, sampling, fixed(share)) for share in np.linspace(0, 1, 301)[:-1]}
    assert found <= may
    chances = np.exp((values - values.max()) / temperature)
    assert {token for token in may if chances[token] / chances[list(may)].sum() > 0.01} <= found


class fixed:
    """A generator that draws one number."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number


def test_how_often_is_as_likely_as_the_logits_say() -> None:
    chances, sampling = np.array([0.5, 0.3, 0.15, 0.05]), Sampling(temperature=2.0, seed=1)
    random = np.random.default_rng(1)
    drawn = np.bincount([draw(2 * np.log(chances), sampling, random) for _ in range(20_000)], minlength=4) / 20_000
    assert np.all(np.abs(drawn - chances) < 5 * np.sqrt(chances * (1 - chances) / 20_000))


@given(logits=LOGITS, seed=st.integers(0, 99), shift=st.sampled_from([-8.0, 0.0, 4.0]))
def test_equal_seeds_draw_equal_tokens(logits: list[float], seed: int, shift: float) -> None:
    sampling, values = Sampling(temperature=1.0, top_p=0.9, seed=seed), np.array(logits, np.float32)
    assert draw(values, sampling, np.random.default_rng(seed)) == draw(values + np.float32(shift), sampling, np.random.default_rng(seed))


@given(logits=LOGITS)
def test_no_temperature_takes_the_first_of_the_largest(logits: list[float]) -> None:
    assert draw(np.array(logits), Sampling(), np.random.default_rng(0)) == logits.index(max(logits))


@pytest.mark.parametrize("logits", [[0.0, np.nan, 1.0], [-np.inf, -np.inf], [np.inf, 0.0]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_say_nothing_are_refused(logits: list[float], temperature: float) -> None:
    with pytest.raises(UserError, match="not finite"):
        draw(np.array(logits), Sampling(temperature=temperature), np.random.default_rng(0))


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": np.nan}, {"temperature": np.inf}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}, {"seed": -1}],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="not"):
        Sampling(**wrong)  # type: ignore[arg-type]
