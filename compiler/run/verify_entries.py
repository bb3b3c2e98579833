"""A bundle held against its model, whatever entries it has: as one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..bundle.entries import models_of, of_model
from ..bundle.manifest import Manifest
from ..bundle.resident import ANY
from ..errors import UsageError, VerifyError
from ..inputs.samples import Given
from ..load.source import Source
from ..load.weights import model_sha256
from ..verify.chain.verify_chain import verify_chain
from ..verify.decoder.verify_decoder import verify_decoder
from ..verify.decoder.verify_replaced import verify_replaced
from ..verify.report import VerifyReport
from ..verify.verifiable import Verifiable
from ..verify.verify import check_same_model, verify
from .decoder.decoder import Decoder
from .decoder.linked import Linked
from .decoder.recurrent import Recurrent


class WithEntries(Verifiable, Protocol):
    """A bundle that may have several entries (bundle.py)."""

    @property
    def folder(self) -> Path: ...

    def entry(self, name: str) -> Verifiable: ...

    def model(self, name: str) -> WithEntries: ...


def verify_entries(
    sources: Sequence[Source],
    bundle: WithEntries,
    *,
    emulate: bool,
    inputs: Given | None,
    expect: Mapping[str, Any] | None,
    progress: Callable[[str], None] | None,
) -> VerifyReport:
    """Entries one by one, each with tensors named after it; those of a decoder together. Of a bundle of several models, the entries of the
    one that is given; where all of them are, those of each, and then the models as links join them. Raises as `verify`, and UsageError for
    inputs or outputs that are given for several entries at once, and for models that are neither one nor all."""
    options: dict[str, Any] = {"emulate": emulate, "inputs": inputs, "expect": expect, "progress": progress}
    if not models_of(bundle.manifest):
        if len(sources) != 1:
            raise UsageError(f"the bundle is of one model, and {len(sources)} are given", where=str(bundle.folder))
        return _verify_model(sources[0], bundle, **options)
    found = _by_name(sources, bundle.manifest)
    reports = [_verify_model(source, bundle.model(name), **options) for name, source in found.items()]
    if len(found) == 1:
        return reports[0]
    together = verify_links(found, bundle.folder, bundle.manifest, emulate=emulate, tell=progress or _silent)
    main = models_of(bundle.manifest)[0] if bundle.manifest.states else ""
    names = [name if name == main else "" for name in found]  # the others are named by their entries
    return _joined([*names, "together"], [*reports, replace(together, segments=())], named=True)


def _silent(message: str) -> None:
    pass


def _by_name(sources: Sequence[Source], manifest: Manifest) -> dict[str, Source]:
    """Raises VerifyError for a file that is none of the bundle's models, UsageError for one that is given twice, and for some of them."""
    found: dict[str, Source] = {}
    for source in sources:
        same = _compiled_from(source, manifest)
        name = next((name for name in same if name not in found), same[0])
        if name in found:
            raise UsageError(f"the model '{name}' is given twice: {found[name]} and {source}")
        found[name] = source
    missing = [name for name in models_of(manifest) if name not in found]
    if missing and len(found) != 1:
        what = f"some of the bundle's models are missing: {', '.join(missing)}"
        raise UsageError(what, help="give one, which is compared by itself, or all, which are compared together as well")
    return found


def verify_links(
    sources: Mapping[str, Source], folder: Path, manifest: Manifest, *, emulate: bool, tell: Callable[[str], None]
) -> VerifyReport:
    """All models of a bundle, by name, one after the other as links join them."""
    return verify_chain(sources, manifest, Linked(folder, manifest, emulate=True, resident=ANY), emulate=emulate, tell=tell)


def _verify_model(
    source: Source,
    bundle: WithEntries,
    *,
    emulate: bool,
    inputs: Given | None,
    expect: Mapping[str, Any] | None,
    progress: Callable[[str], None] | None,
) -> VerifyReport:
    entries = [entry.name for entry in bundle.manifest.entries]
    if not entries:
        return verify(source, bundle, emulate=emulate, inputs=inputs, expect=expect, progress=progress)
    if inputs is not None or expect is not None:
        what = f"the bundle has the entries {', '.join(entries)}: inputs fit one of them at most"
        raise UsageError(what, help="compare on generated inputs, or Bundle.entry(name).verify(…)")
    tell = progress or _silent
    if not bundle.manifest.states:
        return _joined(entries, [verify(source, bundle.entry(name), emulate=emulate, progress=progress) for name in entries], named=True)
    check_same_model(source, bundle)
    reports = verify_steps(source, bundle.folder, bundle.manifest, emulate=emulate, tell=tell)
    return _joined(entries, list(reports.values()), named=False)


def _compiled_from(source: Source, manifest: Manifest) -> list[str]:
    """Which of a bundle's models it is: several where they are equal. Raises VerifyError for another one."""
    names, found = models_of(manifest), model_sha256(source)
    same = [name for name in names if of_model(manifest, name).model.sha256 == found]
    if not same:
        what = f"the bundle was compiled from other models: {', '.join(names)}"
        raise VerifyError(what, where=str(source), help="give one of those that it was made from, as a path where that was given")
    return same


def verify_steps(
    source: Source, folder: Path, manifest: Manifest, *, emulate: bool, tell: Callable[[str], None]
) -> Mapping[str, VerifyReport]:
    """A bundle with states, step by step: a report for each entry."""
    if manifest.states[0].length:
        decoder = Decoder(folder, manifest, emulate=True, resident=ANY, one_open=True)
        return verify_decoder(source, manifest, decoder, emulate=emulate, tell=tell)
    return verify_replaced(source, manifest, Recurrent(folder, manifest, emulate=True, resident=ANY), emulate=emulate, tell=tell)


def _joined(entries: Sequence[str], reports: Sequence[VerifyReport], *, named: bool) -> VerifyReport:
    """named: tensors are those of one entry each, "" where they say so themselves; else all reports are about the same ones."""
    first, reasons = reports[0], list(dict.fromkeys(reason for report in reports for reason in report.reasons))
    if named:
        heads = [f"{name}: " if name else "" for name in entries]
        outputs = tuple(replace(d, name=f"{head}{d.name}") for head, report in zip(heads, reports, strict=True) for d in report.outputs)
        grounds = "; ".join(f"{head}{report.reason}" for head, report in zip(heads, reports, strict=True))
    else:
        outputs, grounds = first.outputs, first.reason
    return replace(
        first,
        verified=all(report.verified for report in reports),
        reasons=tuple(reasons),
        reason="; ".join(reasons) or grounds,
        outputs=outputs,
        boundaries=(),
        segments=tuple(verdict for report in reports for verdict in report.segments),
        emulated=tuple(dict.fromkeys(name for report in reports for name in report.emulated)),
        exercised=min(report.exercised for report in reports),
        not_exercised=tuple(dict.fromkeys(one for report in reports for one in report.not_exercised)),
    )
