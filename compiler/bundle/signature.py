"""A bundle's signature: ed25519 over the bytes of manifest.json, which list the hash of every other file; 64 bytes in manifest.sig.

openssl makes and checks the same (docs/trust.md).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BundleError, UsageError, UserError
from .manifest import MANIFEST, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BYTES = 64
"""Of an ed25519 signature."""
LARGEST_KEY = 1 << 16
MAKE = "make one: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub.pem"
PRIVATE, PUBLIC = b"PRIVATE KEY-----", b"PUBLIC KEY-----"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, as read from its file."""

    path: Path
    key: Ed25519PrivateKey
    open_to_others: bool
    """Whether other users can read the file."""

    @property
    def note(self) -> str:
        """What the user should know of it; "" for nothing."""
        return f"other users can read the signing key: chmod 600 {self.path}" if self.open_to_others else ""

    def make_room(self, folder: Path) -> None:
        """Writes what will be the signature, so that whoever counts the bytes of the bundle counts them all."""
        (folder / SIGNATURE).write_bytes(bytes(BYTES))

    def sign_bundle(self, folder: Path) -> None:
        """Writes the signature of the manifest in `folder`."""
        (folder / SIGNATURE).write_bytes(self.key.sign((folder / MANIFEST).read_bytes()))


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, as read from its file."""

    path: Path
    key: Ed25519PublicKey


def signing_key(path: str | os.PathLike[str]) -> SigningKey:
    """The private key in a PEM file. Raises UserError for anything but an ed25519 key without a password."""
    from_pem, kind = _cryptography("load_pem_private_key", "Ed25519PrivateKey")
    place, data, mode = _read(path)
    if PUBLIC in data and PRIVATE not in data:
        raise UsageError(f"{place} is a public key, and a bundle is signed with the private one", help="--trust takes the public key")
    key = _ed25519(place, lambda: from_pem(data, None), kind)
    return SigningKey(place, key, os.name == "posix" and bool(mode & 0o077))


def trusted_keys(paths: Iterable[str | os.PathLike[str]]) -> tuple[TrustedKey, ...]:
    """The public keys in PEM files. Raises UserError for anything but ed25519 keys."""
    found = []
    for path in paths:
        from_pem, kind = _cryptography("load_pem_public_key", "Ed25519PublicKey")
        place, data, _ = _read(path)
        if PRIVATE in data:
            help = f"give its public key, and keep this one secret: openssl pkey -in {place} -pubout -out PUBLIC.pem"
            raise UsageError(f"{place} is a private key, and a bundle is checked with the public one", help=help)
        found.append(TrustedKey(place, _ed25519(place, lambda data=data, load=from_pem: load(data), kind)))
    return tuple(found)


def check_signature(folder: Path, manifest: bytes, trusted: Iterable[TrustedKey]) -> TrustedKey:
    """The key that signed the manifest in `folder`, whose bytes are given. Raises BundleError where none of the trusted ones did."""
    from cryptography.exceptions import InvalidSignature

    keys, signature = tuple(trusted), _signature(folder)
    for one in keys:
        try:
            one.key.verify(signature, manifest)
        except InvalidSignature:
            continue
        return one
    names = ", ".join(str(one.path) for one in keys)
    what = f"{SIGNATURE} is not the signature of {MANIFEST} by {'the key' if len(keys) == 1 else 'any of the keys'} {names}"
    raise _untrusted(f"{what}: the bundle was changed, or another key signed it", folder)


def _signature(folder: Path) -> bytes:
    path = folder / SIGNATURE
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise _untrusted(f"the bundle is not signed: {SIGNATURE} is missing", folder) from None
    except OSError as error:
        raise _untrusted(f"{SIGNATURE} cannot be read: {error.strerror or error}", folder) from None
    if not stat.S_ISREG(status.st_mode):
        raise _untrusted(f"{SIGNATURE} is not a regular file", folder)
    if status.st_size != BYTES:
        raise _untrusted(f"{SIGNATURE} has {status.st_size} bytes, an ed25519 signature has {BYTES}", folder)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _untrusted(f"{SIGNATURE} cannot be read: {error.strerror or error}", folder) from None


def _untrusted(what: str, folder: Path) -> BundleError:
    return BundleError(what, where=str(folder), help="get the bundle from its maker again, or compile it yourself (docs/trust.md)")


def _cryptography(loader: str, kind: str) -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UserError("signatures need the package cryptography", help="pip install 'autoglmc[sign]'") from None
    return getattr(serialization, loader), getattr(ed25519, kind)


def _read(path: str | os.PathLike[str]) -> tuple[Path, bytes, int]:
    place = Path(path)
    try:
        with place.open("rb") as stream:
            data = stream.read(LARGEST_KEY + 1)
            mode = os.fstat(stream.fileno()).st_mode
    except FileNotFoundError:
        raise UsageError(f"no such key file: {place}", help=MAKE) from None
    except OSError as error:
        raise UsageError(f"the key {place} cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST_KEY or b"-----BEGIN " not in data:
        raise UsageError(f"{place} is not a key in PEM form", help=MAKE)
    if b"BEGIN OPENSSH" in data:
        raise UsageError(f"{place} is a key of OpenSSH, not in the PEM form of PKCS #8", help=MAKE)
    return place, data, mode


def _ed25519(place: Path, load: Any, kind: Any) -> Any:
    try:
        key = load()
    except TypeError:  # the only one that it raises: a password is needed
        help = f"decrypt it for this use: openssl pkey -in {place} -out PLAIN.pem"
        raise UsageError(f"the key {place} is encrypted, and there is nobody to ask for its password", help=help) from None
    except Exception as error:  # ValueError, UnsupportedAlgorithm, and errors of its own for what is damaged
        what = str(error).split(". ")[0].strip() or type(error).__name__
        raise UsageError(f"{place} is not a key that can be read: {what}", help=MAKE) from None
    if not isinstance(key, kind):
        name = type(key).__name__.removeprefix("_").removesuffix("PrivateKey").removesuffix("PublicKey")
        raise UsageError(f"{place} is a key of {name}, bundles are signed by ed25519", help=MAKE)
    return key
