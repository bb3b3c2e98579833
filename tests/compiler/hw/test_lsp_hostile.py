"""The language server under malice: garbage, wrong lengths, wrong types, half letters, documents of megabytes. It answers what it can be
asked, reports no error of its own, keeps its memory and ends when it is told to."""

from __future__ import annotations

import copy
import json
import random
import re
import resource
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("pygls")
MAIN = [sys.executable, "-c", "from autoglmc.compiler.cli import main; main()", "lsp"]
URI = "file:///work/box.hw"
TEXT = 'hw 1;\ninclude "std/ort_cpu.hw";\ntarget t {\n  memory dram { size 1 GiB; bandwidth 5 GB/s; shared cpu; }\n}\n'
START = {"jsonrpc": "2.0", "id": "start", "method": "initialize", "params": {"capabilities": {}, "processId": None, "rootUri": None}}
END = [{"jsonrpc": "2.0", "id": "end", "method": "shutdown"}, {"jsonrpc": "2.0", "method": "exit"}]
QUESTIONS = ("hover", "completion", "definition", "documentSymbol", "formatting")
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 1e308, "", "\0", "\ud800", "file:///dev/zero", "file:///a%00b", "://", "x" * 5000, [], {}, [[]],
    {"jsonrpc": "2.0", "id": 1, "method": "exit"}, {"line": 10**9, "character": 10**9}, "textDocument/hover", "\x1b[31m", "../" * 500,
)  # fmt: skip


def opened(text: str, uri: str = URI) -> dict[str, Any]:
    item = {"uri": uri, "languageId": "hw", "version": 1, "text": text}
    return {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}}


def asked(number: int, what: str, line: int = 3, character: int = 17, uri: str = URI) -> dict[str, Any]:
    params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
    return {
        "jsonrpc": "2.0", "id": number, "method": f"textDocument/{what}",
        "params": {**params, "options": {"tabSize": 2, "insertSpaces": True}},
    }  # fmt: skip


def changed(text: str, whole: bool) -> dict[str, Any]:
    place = {} if whole else {"range": {"start": {"line": 2, "character": 3}, "end": {"line": 3, "character": 9}}}
    params = {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{**place, "text": text}]}
    return {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": params}


def frame(message: Any, length: int | None = None) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def _within_its_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (5 * 10**8, 5 * 10**8))


def talk(sent: bytes) -> list[Any]:
    """What the server answers and publishes. It ends in time, without a word on stderr and within its memory."""
    done = subprocess.run(MAIN, input=sent, capture_output=True, timeout=300, preexec_fn=_within_its_memory)
    assert done.stderr == b"" and done.returncode in (0, 1)
    answers = [
        json.loads(body)
        for body in re.findall(rb"Content-Length: \d+\r\n(?:[^\r\n]+\r\n)*\r\n(\{.*?\})(?=Content-Length|$)", done.stdout, re.S)
    ]
    assert all("traceback" not in json.dumps(answer).lower() for answer in answers)
    return answers


def mutated(dice: random.Random, message: Any) -> Any:
    """The message with one value, somewhere inside, replaced, removed or renamed."""
    message = copy.deepcopy(message)
    here, path = message, []
    while isinstance(here, dict | list) and here and (not path or dice.random() < 0.8):
        key = dice.choice(list(here)) if isinstance(here, dict) else dice.randrange(len(here))
        path.append((here, key))
        here = here[key]
    where, key = path[-1]
    if isinstance(where, dict) and dice.random() < 0.2:
        del where[key]
    else:
        where[key] = dice.choice(HOSTILE)
    return message


def noise(dice: random.Random) -> bytes:
    """Bytes that are no message, which cost at most what follows within 2,000 bytes."""
    good = frame(asked(7, "hover"))
    return dice.choice((
        dice.randbytes(dice.randrange(200)) + b"\r\n\r\n",
        good[: dice.randrange(len(good))] + b"\r\n\r\n",
        frame(b"[" * 100_000),
        frame(b'{"jsonrpc": "2.0", "id": 1, "method": "\xff\xfe"}'),
        frame({"a": 1}, dice.choice((0, 1, 10**11, 2000))),
        b"Content-Length: -5\r\n\r\n", b"Content-Length: 1e3\r\n\r\n", b"\0" * 10_000 + b"\r\n",
        b"Content-Length: 2\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_it_outlives_what_is_no_message(seed: int) -> None:
    dice = random.Random(seed)
    base = [opened(TEXT), *(asked(number, what) for number, what in enumerate(QUESTIONS)), changed("x\n", True), changed("\ud800", False)]
    sent = [frame(START), frame(opened(TEXT))]
    for _ in range(150):
        sent.append(noise(dice) if dice.random() < 0.3 else frame(mutated(dice, dice.choice(base))))
    sent = [one for one in sent if b'"method": "exit"}' not in one or b"jsonrpc" in one[:60]]
    answers = talk(b"".join([*sent, b"\r\n" * 1500, frame(opened(TEXT)), frame(asked(1000, "hover")), *map(frame, END)]))
    by_id = {answer.get("id"): answer for answer in answers}
    assert "end" in by_id and "result" in by_id["end"]
    assert by_id[1000]["result"]["contents"]["value"].startswith("`size 6 GiB;`")


def test_a_request_at_fault_has_its_answer() -> None:
    cases = [
        ({**asked(1, "hover"), "params": {}}, -32602),
        ({**asked(2, "hover"), "params": None}, -32602),
        (asked(3, "hover", line=-1), -32602),
        (asked(4, "hover", uri="file:///dev/zero"), -32602),
        ({"jsonrpc": "2.0", "id": 5, "method": "no/such"}, -32601),
        ({"jsonrpc": "2.0", "id": 6}, -32600),
        ({**START, "id": 7}, -32600),
        ({"jsonrpc": "1.0", "id": 8, "method": "shutdown"}, -32600),
    ]
    early = {**asked(0, "hover")}
    answers = talk(b"".join(map(frame, [early, START, opened(TEXT), *(case for case, _ in cases), asked(9, "hover", 10**6, 10**9), *END])))
    codes = {answer["id"]: answer["error"]["code"] for answer in answers if "error" in answer}
    assert codes == {0: -32002, **{case["id"]: code for case, code in cases}}
    assert next(answer for answer in answers if answer.get("id") == 9)["result"] is None


def test_documents_of_megabytes_cost_a_message() -> None:
    large = TEXT + "x" * 3_000_000
    sent = [
        START,
        opened(large),
        *(asked(number, what) for number, what in enumerate(QUESTIONS)),
        opened("y" * 20_000_000, f"{URI}2"),
        *END,
    ]
    answers = talk(b"".join(map(frame, sent)))
    (published,) = [answer["params"] for answer in answers if answer.get("method") == "textDocument/publishDiagnostics"]
    assert [one["code"] for one in published["diagnostics"]] == ["HW0005"]
    assert {answer["id"] for answer in answers if "result" in answer} == {"start", "end", *range(len(QUESTIONS))}
    assert any(answer.get("error", {}).get("code") == -32600 for answer in answers)


def test_open_documents_are_counted() -> None:
    many = [opened("hw 1;", f"file:///work/{number}.hw") for number in range(230)]
    answers = talk(b"".join(map(frame, [START, *many, *END])))
    refused = [answer for answer in answers if answer.get("error", {}).get("message") == "200 documents are open"]
    assert len(refused) == 30


@pytest.mark.parametrize("uri", ["file:///a%00b.hw", "untitled:Untitled-1", "file:", "", "http://x/y.hw", "file:///" + "d/" * 3000])
def test_any_uri_is_a_document(uri: str) -> None:
    text = 'hw 1;\ninclude "x.hw";\ntarget t extends nothing { memory \0 { size 1 GB } \ud800 "\x1b[31m" }\n'
    answers = talk(b"".join(map(frame, [START, opened(text, uri), asked(1, "hover", 1, 3, uri), asked(2, "definition", 1, 11, uri), *END])))
    assert {answer["id"] for answer in answers if "result" in answer} == {"start", "end", 1, 2}
    assert [answer["params"]["uri"] for answer in answers if answer.get("method") == "textDocument/publishDiagnostics"] == [uri]
