"""The weights of a bundle deflated, for a package that is smaller on the way than it is when it runs.

Integers of 8 bits take 15 to 20 % less, zeros nearly nothing. What is packed is unpacked into a folder of its own whenever the bundle is
loaded for a run: it takes time and disk, and runtimes map that copy instead of the package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from msgspec import structs

from ..errors import BundleError
from ..quantities import size as size_text
from .files import inside
from .manifest import SEGMENTS, FileRecord, Manifest, PackedRecord
from .weights import WEIGHTS

SUFFIX = ".zlib"
LEVEL = 9
"""zlib's most thorough: a package is made once."""
CHUNK = 1 << 20


def pack(folder: Path, manifest: Manifest) -> Manifest:
    """Deflates the weights of the bundle in `folder`. Returns its manifest with that, to be written; unchanged where that saves nothing."""
    name = f"{SEGMENTS}/{WEIGHTS}"
    whole = folder / name
    record = _deflated(whole, folder / (name + SUFFIX), name + SUFFIX)
    if record.size >= manifest.files[name].size:
        (folder / record.file).unlink()
        return manifest
    whole.unlink()
    return structs.replace(manifest, files={**manifest.files, name: structs.replace(manifest.files[name], packed=record)})


def _deflated(source: Path, place: Path, name: str) -> PackedRecord:
    made, digest, size = zlib.compressobj(LEVEL), hashlib.sha256(), 0
    with source.open("rb") as stream, place.open("wb") as out:
        for data in (*map(made.compress, iter(lambda: stream.read(CHUNK), b"")), made.flush()):
            out.write(data)
            digest.update(data)
            size += len(data)
    return PackedRecord(file=name, sha256=digest.hexdigest(), size=size)


def packed_note(manifest: Manifest) -> str:
    """What the user should know of a bundle that was to be packed."""
    record = manifest.files[f"{SEGMENTS}/{WEIGHTS}"]
    if record.packed is None:
        return "weights are not compressed: deflated they would take no fewer bytes"
    sizes = f"{size_text(record.size)} -> {size_text(record.packed.size)}"
    return f"weights are compressed ({sizes}): whoever loads the bundle unpacks them first, and does not map them from the package"


def files_for(owner: object, folder: Path, manifest: Manifest) -> Path:
    """The folder with the files of the bundle as runtimes read them: the bundle's own, or as long as `owner` lives, a temporary one. Raises
    as `unpacked` does."""
    if all(record.packed is None for record in manifest.files.values()):
        return folder
    made = unpacked(folder, manifest)
    weakref.finalize(owner, shutil.rmtree, made, True)
    return made


def folder_of(owner: object) -> Path:
    """A new temporary folder that is there as long as `owner` lives."""
    made = Path(tempfile.mkdtemp(prefix="autoglmc-"))
    weakref.finalize(owner, shutil.rmtree, made, True)
    return made


def unpacked(folder: Path, manifest: Manifest) -> Path:
    """A new temporary folder with all files of the bundle as they were before packing, but for its manifest; the caller removes it.

    Raises BundleError for packed data that is damaged, or not what the manifest says."""
    made = Path(tempfile.mkdtemp(prefix="autoglmc-"))
    try:
        for name, record in manifest.files.items():
            if record.left_out:
                continue
            place = made / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if record.packed is None:
                _link(inside(folder, name), place)
            else:
                with place.open("wb") as out:
                    _inflate(inside(folder, record.packed.file), name, record, out)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        what = f"the bundle cannot be unpacked: {error.strerror or error}"
        raise BundleError(what, where=str(folder), help="TMPDIR names the folder for that") from None
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return made


def _link(source: Path, place: Path) -> None:
    """The same file where the system allows that, a copy else."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)


def _inflate(path: Path, name: str, record: FileRecord, out: IO[bytes]) -> None:
    digest, size = hashlib.sha256(), 0
    for data in _parts(path):
        size += len(data)
        if size > record.size:
            break
        digest.update(data)
        out.write(data)
    if size != record.size or digest.hexdigest() != record.sha256:
        raise BundleError(f"{path.name} does not unpack to {name}: files[{name!r}] has another size or sha256", where=str(path))


def _parts(path: Path) -> Iterator[bytes]:
    """What the file holds, in parts of at most CHUNK bytes, whatever it claims to hold."""
    state = zlib.decompressobj()
    try:
        with path.open("rb") as stream:
            while not state.eof and (data := state.unconsumed_tail or stream.read(CHUNK)):
                yield state.decompress(data, CHUNK)
    except zlib.error as error:
        raise BundleError(f"{path.name} is damaged: {error}", where=str(path)) from None
