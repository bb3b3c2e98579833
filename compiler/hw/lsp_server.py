"""The language server: pygls on one side, the functions of grammar/editor on the other. Nothing is decided here."""

from __future__ import annotations

import logging
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from ...grammar import HwError, load_source
from ...grammar.analyse import analyse
from ...grammar.editor.complete import complete
from ...grammar.editor.definition import Symbol, definition, symbols
from ...grammar.editor.hover import hover
from ...grammar.rule_facts import rule_facts
from ...grammar.text.diagnostics import Diagnostic, Source, Span
from ...grammar.text.format import format_text
from ...grammar.text.syntax import MAX_BYTES
from ..errors import first_line
from .lsp_input import Messages

SEVERITIES = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning, "info": lsp.DiagnosticSeverity.Information}
COMPLETIONS = {
    "property": lsp.CompletionItemKind.Property, "operator": lsp.CompletionItemKind.Class, "operand": lsp.CompletionItemKind.Variable,
    "attribute": lsp.CompletionItemKind.Field, "predicate": lsp.CompletionItemKind.Function, "unit": lsp.CompletionItemKind.Unit,
    "rule": lsp.CompletionItemKind.Method, "dtype": lsp.CompletionItemKind.TypeParameter, "form": lsp.CompletionItemKind.TypeParameter,
    "device": lsp.CompletionItemKind.Module, "model": lsp.CompletionItemKind.Module,
}  # fmt: skip
SYMBOLS = {
    "target": lsp.SymbolKind.Module, "table": lsp.SymbolKind.Interface, "device": lsp.SymbolKind.Class, "memory": lsp.SymbolKind.Struct,
    "link": lsp.SymbolKind.Event, "rule": lsp.SymbolKind.Function, "deploy": lsp.SymbolKind.Package, "model": lsp.SymbolKind.File,
}  # fmt: skip
LARGEST_DOCUMENT = 8 << 20
"""Letters of a document that is kept; beyond that it is as if closed."""


class Protocol(LanguageServerProtocol):
    """Answers with what went wrong, in a line, and never with where in the server."""

    def _send_response(self, msg_id: Any, result: Any = None, error: lsp.ResponseError | None = None) -> None:
        if error is not None:
            error = lsp.ResponseError(error.code, error.message.split("\n")[0][:200])
        super()._send_response(msg_id, result, error)


class Server(LanguageServer):
    def report_server_error(self, error: Exception, source: Any) -> None:
        """One line for whoever reads the server's log; the editor has its answer, and can do nothing about the rest."""
        sys.stderr.write(f"autoglmc lsp: internal error: {type(error).__name__}: {first_line(error)[:200]}\n")


server = Server("autoglmc", metadata.version("autoglmc"), protocol_cls=Protocol)


def serve() -> None:
    """Answers on stdin and stdout until the editor ends it."""
    log = logging.getLogger("pygls")
    log.addHandler(logging.NullHandler())
    log.propagate, log.level = False, logging.CRITICAL
    pipe, out = sys.stdin.buffer, sys.stdout.buffer
    messages = Messages(pipe, out, server.protocol.structure_message, lambda: server.workspace.text_documents)
    server.start_io(messages, out)  # type: ignore[arg-type]  # as much of a stream as it asks for


# --- between the two worlds: offsets are of Python's letters, positions in units the client chose


def _source(document: TextDocument) -> Source:
    """The text as the checker reads it. Line ends of two letters are one there, so offsets go by line and column."""
    text = document.source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half a letter, as only JSON can write it
    text = text.replace("\r\n", "\n")
    return Source(to_fs_path(document.uri) or document.uri, "" if _too_large(text) else text)


def _too_large(text: str) -> bool:
    return len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES


def _offset(source: Source, position: lsp.Position, document: TextDocument) -> int:
    place = document.position_codec.position_from_client_units(document.lines, position)
    line = min(place.line, len(source.starts) - 1)
    return min(source.starts[line] + place.character, len(source.text))


def _range(span: Span) -> lsp.Range:
    return lsp.Range(_position(span.source, span.start), _position(span.source, span.end))


def _position(source: Source, offset: int) -> lsp.Position:
    line, column = source.place(min(offset, len(source.text)))
    letters = source.line(line)[: column - 1]
    return lsp.Position(line - 1, len(letters.encode("utf-16-le", "surrogatepass")) // 2)


def _load(written: str, source: Source) -> Source | str:
    """An included file; what is open in the editor wins over what is on the disk."""
    open_here = {to_fs_path(uri): document for uri, document in server.workspace.text_documents.items()}
    document = open_here.get(str(Path(source.name).parent / written))
    return _source(document) if document is not None else load_source(written, source)


def _location(span: Span) -> lsp.Location:
    try:
        path = str(Path(span.source.name).resolve())
    except (OSError, ValueError):  # a URI whose path no file can have
        path = span.source.name
    return lsp.Location(from_fs_path(path) or span.source.name, _range(span))


# --- messages


def _publish(uri: str) -> None:
    """Checks every open file: one may include another."""
    for document in list(server.workspace.text_documents.values()):
        source = _source(document)
        try:
            found = analyse(source, rule_facts(), _load).diagnostics
        except HwError as refused:
            found = refused.diagnostics
        if _too_large(document.source):
            message = f"the file is larger than the limit of {MAX_BYTES:,} bytes"
            found = (Diagnostic("HW0005", "error", Span(source, 0, 0), message, ""),)
        told = [_diagnostic(item, source) for item in found]
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(document.uri, told, document.version))


def _diagnostic(item: Diagnostic, source: Source) -> lsp.Diagnostic:
    """One message; of an included file at the top of this one, with the place in it."""
    here = item.span.source.name == source.name
    related = [lsp.DiagnosticRelatedInformation(_location(note.span), note.message) for note in item.notes if note.span]
    if not here:
        related.insert(0, lsp.DiagnosticRelatedInformation(_location(item.span), item.message))
    message = f"{item.message}\n{item.help}" if item.help else item.message
    place = _range(item.span) if here else lsp.Range(lsp.Position(0, 0), lsp.Position(0, 1))
    return lsp.Diagnostic(place, message, SEVERITIES[item.severity], item.code, source="autoglmc", related_information=related)


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
def opened(params: lsp.DidOpenTextDocumentParams) -> None:
    _publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
def changed(params: lsp.DidChangeTextDocumentParams) -> None:
    document = server.workspace.get_text_document(params.text_document.uri)
    if len(document.source) > LARGEST_DOCUMENT:
        server.workspace.remove_text_document(params.text_document.uri)
        return
    _publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def closed(params: lsp.DidCloseTextDocumentParams) -> None:
    server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


# --- questions


@server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=[" ", ".", "(", "@", "&"]))
def completed(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
    document = server.workspace.get_text_document(params.text_document.uri)
    source = _source(document)
    found = complete(source.text, _offset(source, params.position, document), rule_facts())
    kinds = {item.kind: COMPLETIONS.get(item.kind, lsp.CompletionItemKind.Keyword) for item in found}
    return [lsp.CompletionItem(item.label, kind=kinds[item.kind], detail=item.detail or None) for item in found]


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
    document = server.workspace.get_text_document(params.text_document.uri)
    source = _source(document)
    said = hover(source.text, _offset(source, params.position, document))
    if said is None:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, said[0]), _range(Span(source, said[1], said[2])))


@server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
def defined(params: lsp.DefinitionParams) -> lsp.Location | None:
    document = server.workspace.get_text_document(params.text_document.uri)
    source = _source(document)
    span = definition(source, _offset(source, params.position, document), _load)
    return _location(span) if span else None


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
def formatted(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """The file in canonical layout; nothing while it has syntax errors, which are reported anyway."""
    document = server.workspace.get_text_document(params.text_document.uri)
    source = _source(document)
    try:
        text = format_text(source.text, source.name)
    except HwError:
        return []
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(len(document.lines), 0))
    return [lsp.TextEdit(whole, text)] if text != source.text else []


@server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def outlined(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    return [_symbol(item) for item in symbols(_source(server.workspace.get_text_document(params.text_document.uri)))]


def _symbol(item: Symbol) -> lsp.DocumentSymbol:
    kind = SYMBOLS.get(item.kind, lsp.SymbolKind.Property)
    children = [_symbol(child) for child in item.children]
    return lsp.DocumentSymbol(item.name, kind, _range(item.whole), _range(item.span), detail=item.kind, children=children)
