"""One session, several sessions, one bundle, many threads: everyone gets the answer to what was asked."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_models import endless
from slicing import bundle_of, cut
from small_models import parse

from autoglmc.compiler.activity import TimeLimit
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle

MODEL = "g (float[1,256] x) => (float[1,256] y) { a = Neg(x) b = Add(a, a) c = Relu(b) d = Sub(c, x) y = Abs(d) }"
THREADS, CALLS = 8, 150


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four segments on two devices."""
    return bundle_of(cut(parse(MODEL), ("npu", "cpu", "npu", "npu", "cpu")), tmp_path_factory.mktemp("threads") / "b")


def asked(number: int) -> dict[str, Any]:
    return {"x": np.full((1, 256), float(number), np.float32)}


def wrong(got: Any, number: int) -> bool:
    return not bool((got["y"] == abs(max(-2.0 * number, 0.0) - number)).all())


def many(call: Callable[[int], bool]) -> int:
    """How many of the calls from many threads gave another answer."""
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(call, range(-THREADS * CALLS // 2, THREADS * CALLS // 2)))


def test_one_session_in_many_threads(bundle: Bundle) -> None:
    session = bundle.session(emulate=True)
    assert many(lambda k: wrong(session.run(asked(k)), k)) == 0


def test_one_session_in_all_its_ways_at_once(bundle: Bundle) -> None:
    session = bundle.session(emulate=True)
    seen = threading.local()

    def call(k: int) -> bool:
        if k % 8 == 0:
            return any(map(wrong, session.run_many([asked(k), asked(k + 1), asked(k + 2)], pipeline=True), (k, k + 1, k + 2)))
        if k % 8 == 1:
            return any(map(wrong, session.run_many([asked(k), asked(k + 1)]), (k, k + 1)))
        if k % 8 == 2:
            return wrong(session.run(asked(k), time_limit=60), k)
        if k % 8 == 3:
            seen.last = None
            outputs = session.run(asked(k), lambda tensor, device, value: setattr(seen, "last", value.copy()))
            return wrong(outputs, k) or not (seen.last == outputs["y"]).all()
        return wrong(session.run(asked(k)), k)

    assert many(call) == 0


def test_a_session_for_each_thread_and_one_bundle(bundle: Bundle) -> None:
    own = threading.local()

    def call(k: int) -> bool:
        if not hasattr(own, "session"):
            own.session = bundle.session(emulate=True)
        return wrong(own.session.run(asked(k)), k)

    assert many(call) == 0


def test_a_session_that_nobody_holds_any_more_ends_its_call(bundle: Bundle) -> None:
    """Sessions are made and let go while others run."""

    def call(k: int) -> bool:
        session = bundle.session(emulate=True)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(session.run, asked(k))
            del session
            gc.collect(0)
            return wrong(answer.result(), k)

    with ThreadPoolExecutor(THREADS) as pool:
        assert not any(pool.map(call, range(40)))


def test_a_call_inside_of_a_call_is_refused(bundle: Bundle) -> None:
    """It would wait for itself, or overwrite what its caller reads."""
    session = bundle.session(emulate=True)
    with pytest.raises(UsageError, match="this session runs already"):
        session.run(asked(1), lambda tensor, device, value: session.run(asked(2)))
    assert not wrong(session.run(asked(3)), 3)


def test_an_error_gives_the_turn_on(bundle: Bundle) -> None:
    session = bundle.session(emulate=True)

    def call(k: int) -> bool:
        if k % 2:
            with pytest.raises(UsageError):
                session.run({"z": np.zeros(1)})
            return False
        return wrong(session.run(asked(k)), k)

    assert many(call) == 0


def test_a_limit_ends_one_call_and_no_other(tmp_path: Path) -> None:
    """A loop of years, and beside it a session that goes on; afterwards the first one is as good as new."""
    loops = bundle_of(cut(endless(), ("cpu",)), tmp_path / "b").session()
    x = {"x": np.ones((1, 4), np.float32)}
    begin = time.monotonic()
    for _ in range(2):
        with pytest.raises(TimeLimit, match=r"running the bundle for .* took more than 0.5 s"):
            loops.run(x, time_limit=0.5)
    assert time.monotonic() - begin < 30
    with pytest.raises(UsageError, match="time_limit is a positive number"):
        loops.run(x, time_limit=0)
