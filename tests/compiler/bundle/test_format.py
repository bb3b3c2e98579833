"""The version of the bundle format rises with every change of a record, and another version is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autoglmc.compiler.bundle.manifest import FORMAT, MANIFEST, Manifest
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle

SHAPES = {
    1: "3e1bb4379454b176694aa9a5b308182f8eb4d0f9171f9d525dbc239a4272eec2",
    2: "3f69f3c523c471cd9a90cb393db4123ba70d476b796555b6117a37ae32ab521a",
    3: "e289372e2f82efefed29a1fec1817613ffce9ee3ae4963ac70e94715b1400813",
    4: "a6dd2198d607f50cb412ecda1d075d4f70f23e4a1414c64ec49968881ea11109",
    5: "a52d2c2bd2cacdb70e738bdd16c2b7912bc16b53e8d7d8dbe17efacbcc7f6d43",
    6: "59212290aedd34bff4dd4c1ca816af91ad3951ae7cc513d641b28797bbd31417",
    7: "a83385e6781ac24b8d29b68596401520cd43935a6bfe116d7237859d0639c9a9",
    8: "6994d98e31a1d5e9e2183a7815c97e8fd4fed773f4710d76db37466eff8dbf4b",
    9: "884c0744801d1224282f56d60d99d8d49122cd197f89f9b2e56880df480e41bb",
    10: "64d8f430c8d3d105bfb1d9443a54a2f352a7cbb9013e5c6a051a534f56669493",
    11: "5993588e19d2395a9f1f130211bbec3ae26cc37382f49e0e304bf40ad63074a4",
    12: "14b3f161301ff261a1c61f5b2f02b322e61c75b127cf04a235a95509cde854cf",
}
"""Format -> digest of the records of that format."""


def bare(schema: Any) -> Any:
    """The schema without its prose."""
    if isinstance(schema, dict):
        return {key: bare(value) for key, value in schema.items() if key not in ("title", "description")}
    return [bare(item) for item in schema] if isinstance(schema, list) else schema


def test_the_format_rises_when_a_record_changes() -> None:
    shapes = json.dumps(bare(msgspec.json.schema(Manifest)), sort_keys=True)
    digest = hashlib.sha256(shapes.encode()).hexdigest()
    todo = f"the records changed: raise FORMAT in compiler/bundle/manifest.py to {FORMAT + 1} and add it to SHAPES with {digest!r}"
    assert SHAPES.get(FORMAT) == digest, todo
    assert max(SHAPES) == FORMAT


@pytest.mark.parametrize("format", [FORMAT + 1, FORMAT - 1, 99, "1", None])
def test_another_format_is_refused_in_one_sentence(tmp_path: Path, format: Any) -> None:
    written = {"tool": {"name": "autoglmc", "version": "9.9", "format": format}, "whatever": "it holds"}
    (tmp_path / MANIFEST).write_text(json.dumps(written))
    with pytest.raises(BundleError) as failure:
        Bundle.load(tmp_path)
    assert (
        failure.value.message
        == f"the bundle has format {format!r}, written by autoglmc '9.9', and this version reads format {FORMAT}: compile again"
    )
    assert not failure.value.help
