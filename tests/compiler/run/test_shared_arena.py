"""Two processes, one bundle, one arena: what one writes the other reads where it lies."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from slicing import bundle_of, cut
from small_models import parse

from autoglmc.compiler.errors import BundleError, UsageError
from autoglmc.compiler.run.arena_memory import ArenaMemory
from autoglmc.compiler.run.bundle import Bundle

CHAIN = "g (float[1024] x) => (float[1024] y) { a = Neg(x) y = Mul(a, a) }"
X = np.arange(1024, dtype=np.float32)

CONSUMER = """
import array, os, socket, sys
from autoglmc.compiler.run.arena_memory import ArenaMemory
from autoglmc.compiler.run.bundle import Bundle
how, folder = sys.argv[1:3]
if how == "inherited":
    fd = int(sys.argv[3])
elif how == "proc":
    fd = os.open(f"/proc/{sys.argv[3]}/fd/{sys.argv[4]}", os.O_RDWR)
else:
    channel = socket.socket(fileno=int(sys.argv[3]))
    data, fds, _, _ = socket.recv_fds(channel, 1, 1)
    fd = fds[0]
session = Bundle.load(folder).session(arena_fd=fd)
os.close(fd)
print("ready", flush=True)
for line in sys.stdin:
    session.run_step(1)
    print("done", flush=True)
"""


def test_a_second_process_runs_the_second_segment_on_the_same_bytes(tmp_path: Path) -> None:
    for how in ("inherited", "proc", "sent"):
        bundle = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / how)
        producer = bundle.session(shared=True)
        assert producer.arena_fd is not None
        consumer, close = start(how, bundle, producer.arena_fd)
        try:
            assert consumer.stdout is not None and consumer.stdin is not None
            assert consumer.stdout.readline() == "ready\n"
            producer.put({"x": X})
            producer.run_step(0)
            step(consumer)
            np.testing.assert_array_equal(producer.get()["y"], X * X)
            producer.view("a", "npu")[...] = 3  # the host overwrites the handoff tensor between the two processes' steps
            step(consumer)
            np.testing.assert_array_equal(producer.get()["y"], np.full(1024, 9, np.float32))
        finally:
            consumer.kill()
            consumer.communicate()
            close()


def start(how: str, bundle: Bundle, fd: int):  # type: ignore[no-untyped-def]
    ours, theirs = socket.socketpair()
    arguments = {"inherited": [str(fd)], "proc": [str(os.getpid()), str(fd)], "sent": [str(theirs.fileno())]}[how]
    passed = {"inherited": [fd], "proc": [], "sent": [theirs.fileno()]}[how]
    command = [sys.executable, "-c", CONSUMER, how, str(bundle.folder), *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=passed)
    if how == "sent":
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    return child, lambda: (ours.close(), theirs.close())


def step(consumer: subprocess.Popen[str]) -> None:
    assert consumer.stdin is not None and consumer.stdout is not None
    consumer.stdin.write("go\n")
    consumer.stdin.flush()
    assert consumer.stdout.readline() == "done\n"


def test_a_shared_arena_gives_the_same_results(tmp_path: Path) -> None:
    bundle = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b")
    alone, shared = bundle.session(), bundle.session(shared=True)
    assert alone.arena_fd is None
    np.testing.assert_array_equal(shared.run({"x": X})["y"], alone.run({"x": X})["y"])
    slot = next(slot for slot in bundle.manifest.arena.slots if slot.tensor == "y")
    assert shared.arena_fd is not None
    there = np.frombuffer(os.pread(shared.arena_fd, X.nbytes, slot.offset), np.float32)
    np.testing.assert_array_equal(there, X * X)  # offsets in the manifest are offsets in the file
    for got in shared.run_many([{"x": X}] * 3, pipeline=True):
        np.testing.assert_array_equal(got["y"], X * X)


def test_descriptors_that_are_no_arena(tmp_path: Path) -> None:
    bundle = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b")
    fd = os.memfd_create("short")
    os.ftruncate(fd, 2048)
    with pytest.raises(BundleError, match=r"has 2048 bytes, the arena takes 4096: it is another bundle's"):
        bundle.session(arena_fd=fd)
    os.close(fd)
    with pytest.raises(BundleError, match="cannot be mapped as the arena: Bad file descriptor"):
        bundle.session(arena_fd=fd)
    wide = bundle_of(cut(parse(CHAIN), ("npu", "cpu"), align=1 << 16), tmp_path / "wide")
    wide.session().run({"x": X})
    with pytest.raises(BundleError, match="an arena aligned to 65536 bytes cannot be shared"):
        wide.session(shared=True)
    with pytest.raises(UsageError, match="npu binds no tensor 'q' in the arena"):
        wide.session().view("q", "npu")


def test_the_file_of_an_arena_cannot_be_shortened(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b").session(shared=True)
    assert session.arena_fd is not None
    with pytest.raises(PermissionError):
        os.ftruncate(session.arena_fd, 0)


def test_sessions_give_their_memory_back(tmp_path: Path) -> None:
    bundle = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bundle.session(shared=True).run({"x": X})
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_an_arena_larger_than_any_memory_is_refused() -> None:
    with pytest.raises(BundleError, match="the arena's 4611686018427387904 bytes cannot be mapped"):
        ArenaMemory(1 << 62, 64)
