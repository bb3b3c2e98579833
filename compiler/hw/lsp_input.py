"""What reaches the language server: whole messages that it understands, of a bounded size; nothing else does, whatever stands on the pipe.

Headers are looked for line by line, so that garbage, a wrong length or one that nobody should believe costs the message it belongs to and
not the connection. What a request asks wrongly is answered with JSON-RPC's own error; a notification at fault is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, BinaryIO
from urllib.parse import unquote

LARGEST = 16 << 20
"""Bytes of a message; a document beyond the 1 MiB of a .hw file is answered with HW0005."""
LONGEST_HEADER = 4096
MOST_DOCUMENTS = 200
"""Open at once."""
LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,12})[ \t]*\r?\n\Z", re.IGNORECASE)
"""At the end of a line: a message that is not read, and has no line end of its own, stands before the next header."""
START, STOP, OPEN = "initialize", "exit", "textDocument/didOpen"
METHODS = frozenset({
    START, STOP, OPEN, "initialized", "shutdown", "$/cancelRequest", "$/setTrace", "textDocument/didChange", "textDocument/didClose",
    "textDocument/didSave", "textDocument/completion", "textDocument/hover", "textDocument/definition", "textDocument/formatting",
    "textDocument/documentSymbol",
})  # fmt: skip
"""What the server answers or listens to."""
PARSE, REQUEST, METHOD, PARAMS, EARLY = -32700, -32600, -32601, -32602, -32002
Wrong = tuple[int, str]
"""JSON-RPC's code of an error, and what to say."""


class Messages:
    """A stream for pygls: `readline` and `read` give one message after the other; both give nothing once the pipe ends."""

    def __init__(
        self, pipe: BinaryIO, out: BinaryIO, structure: Callable[[dict[str, Any]], Any], opened: Callable[[], Collection[str]]
    ) -> None:
        """structure: raises for parameters of another form than the protocol's. opened: the URIs of documents that are open."""
        self._pipe, self._out, self._structure, self._opened = pipe, out, structure, opened
        self._lines: list[bytes] = []
        self._body = b""
        self._started = False

    def readline(self) -> bytes:
        if not self._lines:
            self._body = self._next()
            if not self._body:
                return b""
            self._lines = [b"Content-Length: %d\r\n" % len(self._body), b"\r\n"]
        return self._lines.pop(0)

    def read(self, size: int = -1) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self._pipe.close()

    def _next(self) -> bytes:
        """The next message to pass on; b"" at the end."""
        while (length := self._header()) is not None:
            body = self._pipe.read(length)
            if len(body) < length:
                break
            if self._passes(body):
                return body
        return b""

    def _header(self) -> int | None:
        """The length of the next message that may be read; None at the end."""
        length, before = None, b""
        while line := self._pipe.readline(LONGEST_HEADER):
            line, before = before + line, b""
            if not line.endswith(b"\n"):
                before = line[-64:]
                continue
            found = LENGTH.search(line)
            if found is not None:
                length = int(found[1])
            elif not line.strip():
                if length is not None and 0 < length <= LARGEST:
                    return length
                if length is not None:
                    self._refuse(None, REQUEST, f"a message of {length} bytes: at most {LARGEST} are read")
                length = None
        return None

    def _passes(self, body: bytes) -> bool:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, PARSE, "the message is not JSON")
            return False
        wrong = self._wrong(data, body)
        number = data.get("id") if isinstance(data, dict) else None
        asked = isinstance(number, int | str) and not isinstance(number, bool)
        if wrong is not None and (asked or wrong[0] == REQUEST):
            self._refuse(number if asked else None, *wrong)
        if wrong is None and data["method"] == START:
            self._started = True
        return wrong is None

    def _wrong(self, data: Any, body: bytes) -> Wrong | None:
        if not isinstance(data, dict) or data.get("jsonrpc") != "2.0":
            return REQUEST, "not a message of JSON-RPC 2.0"
        method = data.get("method")
        if not isinstance(method, str):
            return (PARAMS if "result" in data or "error" in data else REQUEST), "a message without a method"
        if not isinstance(data.get("id", 0), int | str):
            return REQUEST, "an id is a number or a string"
        if method not in METHODS:
            return METHOD, f"unknown method {method[:80]!r}"
        if self._started == (method == START) and method != STOP:
            return (REQUEST, "initialized before") if self._started else (EARLY, "not initialized yet")
        try:
            json.loads(body, object_hook=self._structure)
        except Exception:  # whatever the protocol's own classes say
            return PARAMS, f"{method} with parameters of another form"
        return self._about_documents(method, data)

    def _about_documents(self, method: str, data: dict[str, Any]) -> Wrong | None:
        if not method.startswith("textDocument/"):
            return None
        params = data["params"]
        if not _plain(params, FORM.get(method, ABOUT)):
            return PARAMS, f"{method} with parameters of another form"
        uri, known = unquote(params["textDocument"]["uri"]), self._opened()  # pygls keeps them so
        if method == OPEN:
            return (REQUEST, f"{MOST_DOCUMENTS} documents are open") if uri not in known and len(known) >= MOST_DOCUMENTS else None
        return None if uri in known else (PARAMS, "the document is not open")

    def _refuse(self, number: int | str | None, code: int, message: str) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}).encode()
        self._out.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._out.flush()


ABOUT: Any = {"textDocument": {"uri": str}}
PLACE: Any = {"line": int, "character": int}
AT: Any = {**ABOUT, "position": PLACE}
FORM: Mapping[str, Any] = {
    OPEN: {"textDocument": {"uri": str, "text": str, "version": int}},
    "textDocument/didChange": {**ABOUT, "contentChanges": [{"text": str}]},
    "textDocument/completion": AT,
    "textDocument/hover": AT,
    "textDocument/definition": AT,
}
"""What the protocol's own classes take in any type, and the server reads."""


def _plain(value: Any, form: Any) -> bool:
    """Whether a value has at least that form: types, the fields of an object, every item of a list."""
    if isinstance(form, dict):
        return (
            isinstance(value, dict) and "jsonrpc" not in value and all(name in value and _plain(value[name], form[name]) for name in form)
        )
    if isinstance(form, list):
        return isinstance(value, list) and all(_plain(item, form[0]) for item in value)
    return isinstance(value, form) and not isinstance(value, bool)
