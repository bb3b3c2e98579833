"""`autoglmc lsp`: the language server for .hw files."""

from __future__ import annotations

import click


@click.command("lsp", short_help="Language server for .hw files.")
def lsp_command() -> int:
    """Serve the language server protocol on stdin and stdout, for editors.

    Diagnostics as you type, completion, hover, definitions, formatting and an outline of .hw files. Needs `pip install 'pygls>=2.0,<3'`.
    """
    from ..errors import UsageError

    try:
        from ..hw.lsp_server import serve
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise UsageError("the language server needs pygls, which is not installed", help="pip install 'pygls>=2.0,<3'") from None
    serve()
    return 0
