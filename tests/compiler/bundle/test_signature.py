"""A signed bundle is run by whoever trusts its key, and by nobody else where a single byte of it was changed."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from small_models import parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.bundle.signature import signing_key, trusted_keys
from autoglmc.compiler.errors import BundleError, UserError

MODEL = "g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }"
OPENSSL = shutil.which("openssl")


def private(key: Any, password: bytes = b"") -> bytes:
    how = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    return bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, how))


def public(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """key.pem and key.pub.pem of one pair, other.pem and other.pub.pem of another."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("key", "other"):
        key = ed25519.Ed25519PrivateKey.generate()
        (folder / f"{name}.pem").write_bytes(private(key))
        (folder / f"{name}.pem").chmod(0o600)
        (folder / f"{name}.pub.pem").write_bytes(public(key))
    return folder


@pytest.fixture(scope="module")
def signed(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    np.savez(folder / "x.npz", x=np.ones((1, 4), np.float32))
    return autoglmc.compile(save(parse(MODEL), folder), "x86_cpu", output=folder / "b", sign=keys / "key.pem").folder


@pytest.fixture
def copied(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "b"))


def test_whoever_trusts_the_key_loads_it(signed: Path, keys: Path) -> None:
    digest = hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
    for trust in (keys / "key.pub.pem", [keys / "other.pub.pem", keys / "key.pub.pem"]):
        bundle = autoglmc.Bundle.load(signed, trust=trust)
        assert (bundle.digest, bundle.trusted, bundle.signed) == (digest, str(keys / "key.pub.pem"), True)
    assert autoglmc.Bundle.load(signed).trusted == ""
    assert autoglmc.verify(signed.parent / "model.onnx", signed, trust=keys / "key.pub.pem").verified


def test_nobody_else_does(signed: Path, keys: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest.sig is not the signature of manifest.json by the key .*other.pub.pem: the bundle was"):
        autoglmc.Bundle.load(signed, trust=keys / "other.pub.pem")


def test_with_the_command_line(signed: Path, keys: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, trust = str(signed.parent / "model.onnx"), ["--trust", str(keys / "key.pub.pem")]
    arguments = ["run", str(signed), "--input", str(signed.parent / "x.npz")]
    assert cli.run([*arguments, *trust, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["signed"] and facts["trusted"] == trust[1] and facts["notes"] == []
    assert facts["digest"] == hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
    assert cli.run([*arguments, "-v"]) == 0
    shown = capsys.readouterr().out
    assert f"manifest  sha256 {facts['digest']}\n          signed, not checked (--trust)\n" in shown
    assert cli.run(["verify", model, str(signed), *trust, "--quiet"]) == 0
    for command in (arguments, ["verify", model, str(signed)]):
        assert cli.run([*command, "--trust", str(keys / "other.pub.pem")]) == 1
        assert "is not the signature" in capsys.readouterr().err
    out = str(tmp_path / "unsigned")
    assert cli.run([model, "--target", "x86_cpu", "-o", out, "--quiet", "--sign", str(keys / "key.pem")]) == 0
    assert cli.run([model, "--target", "x86_cpu", "-o", out, "--quiet"]) == 0, "a signed bundle is one of ours: it may be replaced"
    assert cli.run(["run", out, "--input", arguments[-1], *trust]) == 1
    assert "the bundle is not signed: manifest.sig is missing" in capsys.readouterr().err
    assert cli.run(["run", out, "--input", arguments[-1], "-v"]) == 0 and "\n          not signed\n" in capsys.readouterr().out


def _edited(folder: Path) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    data["target"]["name"] = "x"
    (folder / "manifest.json").write_text(json.dumps(data))


def _weights(folder: Path) -> None:
    """Other weights with their hash in the manifest: nothing but a signature can tell."""
    (folder / "segments" / "weights.bin").write_bytes(b"1")
    data = json.loads((folder / "manifest.json").read_text())
    data["files"]["segments/weights.bin"] |= {"sha256": hashlib.sha256(b"1").hexdigest(), "size": 1}
    (folder / "manifest.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_edited, "the bundle was changed, or another key signed it"),
        (_weights, "the bundle was changed, or another key signed it"),
        (lambda b: (b / "manifest.json").write_bytes((b / "manifest.json").read_bytes() + b"\n"), "the bundle was changed"),
        (lambda b: (b / "segments" / "weights.bin").write_bytes(b"1"), "segments/weights.bin has 1 bytes"),
        (lambda b: (b / "manifest.sig").unlink(), "the bundle is not signed: manifest.sig is missing"),
        (lambda b: (b / "manifest.sig").write_bytes(bytes(64)), "the bundle was changed, or another key signed it"),
        (lambda b: (b / "manifest.sig").write_bytes(b""), "manifest.sig has 0 bytes, an ed25519 signature has 64"),
        (lambda b: (b / "manifest.sig").write_bytes((b / "manifest.sig").read_bytes() * 2), "manifest.sig has 128 bytes"),
        (lambda b: ((b / "manifest.sig").unlink(), (b / "manifest.sig").mkdir()), "manifest.sig is not a regular file"),
        (lambda b: ((b / "manifest.sig").unlink(), (b / "manifest.sig").symlink_to("/dev/zero")), "manifest.sig is not a regular file"),
        (lambda b: ((b / "manifest.sig").unlink(), os.mkfifo(b / "manifest.sig")), "manifest.sig is not a regular file"),
    ],
)
def test_whatever_is_changed_is_refused(copied: Path, keys: Path, change: Callable[[Path], object], says: str) -> None:
    change(copied)
    with pytest.raises(BundleError) as failure:
        autoglmc.Bundle.load(copied, trust=keys / "key.pub.pem")
    assert says in failure.value.message


WRONG: list[tuple[str, Callable[[], bytes], str, str]] = [
    ("sign", lambda: private(rsa.generate_private_key(65537, 2048)), "is a key of RSA, bundles are signed by ed25519", "openssl genpkey"),
    ("trust", lambda: public(rsa.generate_private_key(65537, 2048)), "is a key of RSA, bundles are signed by ed25519", "openssl genpkey"),
    ("sign", lambda: private(ec.generate_private_key(ec.SECP256R1())), "is a key of", "openssl genpkey"),
    ("sign", lambda: private(ed448.Ed448PrivateKey.generate()), "is a key of Ed448", "openssl genpkey"),
    ("sign", lambda: private(ed25519.Ed25519PrivateKey.generate(), b"secret"), "is encrypted", "openssl pkey -in"),
    ("sign", lambda: public(ed25519.Ed25519PrivateKey.generate()), "is a public key", "--trust takes the public key"),
    ("trust", lambda: private(ed25519.Ed25519PrivateKey.generate()), "is a private key", "-pubout"),
    ("sign", lambda: private(ed25519.Ed25519PrivateKey.generate()).replace(b"M", b"!"), "is not a key that can be read", "openssl genpkey"),
    ("trust", lambda: public(ed25519.Ed25519PrivateKey.generate())[:60], "is not a key that can be read", "openssl genpkey"),
    ("trust", lambda: b"", "is not a key in PEM form", "openssl genpkey"),
    ("sign", lambda: bytes(100_000), "is not a key in PEM form", "openssl genpkey"),
    ("sign", lambda: b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "is a key of OpenSSH", "openssl genpkey"),
]


@pytest.mark.parametrize(("use", "data", "says", "help"), WRONG)
def test_another_file_is_no_key(use: str, data: Callable[[], bytes], says: str, help: str, tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(data())
    with pytest.raises(UserError) as failure:
        signing_key(tmp_path / "k.pem") if use == "sign" else trusted_keys([tmp_path / "k.pem"])
    assert says in failure.value.message and "k.pem" in failure.value.message and help in failure.value.help


def test_a_key_that_is_not_there_is_told_before_the_work_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(parse(MODEL), tmp_path)
    assert cli.run([str(path), "--target", "x86_cpu", "--sign", str(tmp_path / "none.pem")]) == 2
    assert "no such key file" in capsys.readouterr().err
    assert cli.run([str(path), "--target", "x86_cpu", "--sign", str(tmp_path)]) == 2
    assert "cannot be read: Is a directory" in capsys.readouterr().err and os.listdir(tmp_path) == [path.name]


def test_a_signing_key_that_others_can_read_is_noted(keys: Path, tmp_path: Path) -> None:
    shutil.copyfile(keys / "key.pem", tmp_path / "open.pem")
    (tmp_path / "open.pem").chmod(0o644)
    assert signing_key(tmp_path / "open.pem").note == f"other users can read the signing key: chmod 600 {tmp_path / 'open.pem'}"
    assert signing_key(keys / "key.pem").note == ""


def test_without_the_package_the_extra_is_named(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError) as failure:
        trusted_keys([keys / "key.pub.pem"])
    assert failure.value.message == "signatures need the package cryptography" and "autoglmc[sign]" in failure.value.help


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_openssl_makes_the_keys_and_checks_the_signature(tmp_path: Path) -> None:
    """The lines of docs/trust.md, and the other way round: a signature by openssl."""

    def openssl(*arguments: str) -> None:
        subprocess.run([str(OPENSSL), *arguments], check=True, capture_output=True, cwd=tmp_path)

    openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem")
    path = save(parse(MODEL), tmp_path)
    bundle = autoglmc.compile(path, "x86_cpu", output=tmp_path / "b", sign=tmp_path / "key.pem").folder
    files = ("-in", "b/manifest.json", "-sigfile", "b/manifest.sig")
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", "key.pub.pem", "-rawin", *files)
    (bundle / "manifest.sig").unlink()
    openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "b/manifest.json", "-out", "b/manifest.sig")
    assert autoglmc.Bundle.load(bundle, trust=tmp_path / "key.pub.pem").signed


def test_nothing_of_cryptography_is_imported_without_a_key(signed: Path) -> None:
    code = "import sys, autoglmc; autoglmc.Bundle.load(sys.argv[1]); print('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(signed)], capture_output=True, text=True).stdout == "False\n"


def test_another_version_of_the_tool_is_noted(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads((copied / "manifest.json").read_text())
    data["tool"]["version"] = "0.0.9"
    (copied / "manifest.json").write_text(json.dumps(data))
    np.savez(copied.parent / "x.npz", x=np.ones((1, 4), np.float32))
    (note,) = autoglmc.Bundle.load(copied).notes
    assert note.startswith("the bundle was written by autoglmc 0.0.9, this is ")
    assert cli.run(["run", str(copied), "--input", str(copied.parent / "x.npz")]) == 0
    assert note in " ".join(capsys.readouterr().out.split())
