"""`autoglmc lsp` as an editor sees it: a process that speaks the protocol on its pipes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BAD = 'hw 1;\ninclude "parent.hw";\ntarget child extends parent   {\n  memory dram { size 6 GBs; }\n}\n'
PARENT = """hw 1;
target parent {
  onnx opset 13..21;
  memory dram { size 6 GiB; bandwidth 50 GB/s; shared cpu; }
  device cpu : x { runtime ort; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; supports all; }
}
"""
MAIN = [sys.executable, "-c", "from autoglmc.compiler.cli import main; main()", "lsp"]


def test_without_pygls_the_way_to_get_it_is_told() -> None:
    hidden = (
        "import sys; sys.modules['pygls'] = sys.modules['lsprotocol'] = None; from autoglmc.compiler.cli import run; sys.exit(run(['lsp']))"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'pygls>=2.0,<3'" in done.stderr and "Traceback" not in done.stderr


async def _session(folder: Path) -> dict[str, Any]:
    from lsprotocol import types as lsp
    from pygls.lsp.client import LanguageClient

    client = LanguageClient("test", "1")
    published: asyncio.Queue[Any] = asyncio.Queue()

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def _(params: Any) -> None:
        published.put_nowait(params)

    await client.start_io(*MAIN)
    root = folder.as_uri()
    uri = (folder / "child.hw").as_uri()
    await client.initialize_async(lsp.InitializeParams(capabilities=lsp.ClientCapabilities(), root_uri=root))
    client.initialized(lsp.InitializedParams())
    document = lsp.TextDocumentIdentifier(uri)
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "hw", 1, BAD)))
    got: dict[str, Any] = {"opened": await asyncio.wait_for(published.get(), 60)}
    got["hover"] = await client.text_document_hover_async(lsp.HoverParams(document, lsp.Position(3, 17)))
    got["completion"] = await client.text_document_completion_async(lsp.CompletionParams(document, lsp.Position(3, 23)))
    got["definition"] = await client.text_document_definition_async(lsp.DefinitionParams(document, lsp.Position(2, 22)))
    got["symbols"] = await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(document))
    change = lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(3, 23), lsp.Position(3, 26)), "GiB")
    client.text_document_did_change(lsp.DidChangeTextDocumentParams(lsp.VersionedTextDocumentIdentifier(2, uri), [change]))
    got["changed"] = await asyncio.wait_for(published.get(), 60)
    got["formatting"] = await client.text_document_formatting_async(lsp.DocumentFormattingParams(document, lsp.FormattingOptions(2, True)))
    parent = (folder / "parent.hw").as_uri()
    broken = lsp.TextDocumentItem(parent, "hw", 1, PARENT.replace("launch 1 us", "launch 1 GB"))
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(broken))
    got["buffers"] = [await asyncio.wait_for(published.get(), 60), await asyncio.wait_for(published.get(), 60)]
    client.text_document_did_close(lsp.DidCloseTextDocumentParams(document))
    got["closed"] = await asyncio.wait_for(published.get(), 60)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return got


def test_a_session(tmp_path: Path) -> None:
    pytest.importorskip("pygls", reason="the language server is an extra: pip install 'pygls>=2.0,<3'")
    (tmp_path / "parent.hw").write_text(PARENT)
    got = asyncio.run(asyncio.wait_for(_session(tmp_path), 120))
    [first] = got["opened"].diagnostics
    assert (first.code, first.range.start.line, first.range.start.character, first.range.end.character) == ("HW0105", 3, 23, 26)
    assert "did you mean" in first.message
    assert "size" in got["hover"].contents.value
    items = got["completion"]
    assert "GiB" in [item.label for item in (items if isinstance(items, list) else items.items)]
    assert got["definition"].uri.endswith("parent.hw") and got["definition"].range.start.line == 1
    assert [item.name for item in got["symbols"]] == ["child"]
    assert not got["changed"].diagnostics
    [edit] = got["formatting"]
    assert "memory dram" in edit.new_text
    codes = {published.uri.rsplit("/", 1)[-1]: [item.code for item in published.diagnostics] for published in got["buffers"]}
    assert codes == {"child.hw": ["HW0106"], "parent.hw": ["HW0106"]}
    assert got["closed"].uri.endswith("child.hw") and not got["closed"].diagnostics
