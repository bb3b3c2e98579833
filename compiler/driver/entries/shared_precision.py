"""The weights of all entries in fewer bits: the model is written so once, before there are entries; each entry is compiled from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from ....targets.model import Target
from ...bundle.manifest import Manifest
from ...errors import Infeasible, UsageError
from ...load.bind_shapes import Shapes
from ...load.load_model import load_model
from ...load.source import Source
from ...output_file import write_file
from ...precision.accuracy import accuracy_of
from ...precision.asked_accuracy import AskedAccuracy, cosine_text
from ...precision.choose import least_cosine
from ...precision.plain_model import serialised
from ...precision.quantise_model import QuantisedModel
from ...precision.request import PrecisionRequest
from ...precision.weights.quantise_weights import SampleForm, quantise_weights
from ...run.decoder.decoder import Decoder
from ...state.request import StateRequest
from ...state.whole_texts import WholeTexts, whole_texts
from ..job import Clock
from ..smaller.chosen_precision import check_saved

UNMEASURED = "how near the entries are to the model is not measured: that is done for decoders with caches"
HELP = "--precision int4 or auto, or int8 without calibration data, is about weights; or compile the entries one by one, with --shape"


@dataclass(frozen=True, slots=True)
class SharedPrecision:
    """The model that entries are compiled from."""

    source: Source
    """As it was given."""
    made: QuantisedModel | None = None
    """None where entries are compiled from the model as it was given."""
    texts: WholeTexts | None = None
    """What samples of a decoder are."""
    least: float = 0.0
    """The cosine with the model as it was given that is asked for."""

    @property
    def compiled(self) -> Source:
        """What entries are compiled from, and compared with."""
        return self.source if self.made is None else self.made.model

    @property
    def notes(self) -> tuple[str, ...]:
        if self.made is None:
            return ()
        return (*self.made.notes, *((UNMEASURED,) if self.made.data is not None and self.texts is None else ()))

    def told(self, manifest: Manifest) -> Manifest:
        """The manifest with what became of the weights."""
        return manifest if self.made is None else structs.replace(manifest, precision=self.made.record)

    def save(self, request: PrecisionRequest | None) -> None:
        """Where `request.save` says, if it does."""
        if request is not None and request.save is not None and self.made is not None:
            write_file(request.save, serialised(self.made.model.proto, request.save))

    @property
    def compared(self) -> int:
        """Bytes of weights of the float model, which `measured` runs on samples; 0 where it has none."""
        if self.made is None or self.made.data is None or self.made.split is None or self.texts is None:
            return 0
        return self.made.record.weight_bytes[0]

    def measured(self, folder: Path, manifest: Manifest) -> Manifest:
        """The manifest with how near the decoder in the folder is to the model as it was given, on samples. Raises Infeasible where that is
        not near enough."""
        made, texts = self.made, self.texts
        if made is None or made.data is None or made.split is None or texts is None or manifest.precision is None:
            return manifest
        decoder = Decoder(folder, manifest, emulate=True, one_open=True)
        longest = max(decoder.entries.values(), key=lambda entry: entry.tokens or 0).name

        def run(sample: Mapping[str, Any]) -> Mapping[str, Any]:
            decoder.reset()
            return decoder.step(longest, {name: sample[name] for name in texts.stepped})

        samples = (texts.completed(sample) for sample in made.split.judged(made.data))
        with decoder:
            outputs = accuracy_of(run, self.source, samples, made.split.holds_out)
        if not outputs:
            raise UsageError("nothing that a step returns can be compared with the model", where=str(self.source), help="--no-verify")
        found = min(one.cosine for one in outputs)
        if found < self.least:
            message = f"the bundle has a cosine of {cosine_text(found)} with the model, and {cosine_text(self.least)} is asked for"
            help = f'--accuracy "cosine >= {cosine_text(found)}" is what it keeps'
            raise Infeasible("accuracy", found, self.least, [help], message=message, where=str(self.source))
        return structs.replace(manifest, precision=structs.replace(manifest.precision, accuracy=outputs))


def shared_precision(
    source: Source,
    target: Target,
    request: PrecisionRequest | None,
    accuracy: AskedAccuracy,
    state: StateRequest | None,
    shapes: Shapes,
    clock: Clock,
) -> SharedPrecision:
    """Raises UsageError for a precision that is not of weights alone, and as `quantise_weights` and `whole_texts`."""
    _check_accuracy(accuracy, request, state)
    if request is None or request.precision == "fp32":
        return SharedPrecision(source)
    if not request.weights_alone and request.precision != "auto":
        data = " with calibration data" if request.data is not None else ""
        raise UsageError(f"--precision {request.precision}{data} and several entries exclude each other", help=HELP)
    check_saved(request)
    with clock.stage("load"):
        loaded = load_model(source)
    texts = None
    if request.data is not None and state is not None and state.length is not None:
        texts = whole_texts(loaded.proto, state, shapes, str(source))
    form = None if texts is None else SampleForm(texts.given, texts.completed, texts.caches)
    asked = max((limit.value for limit in accuracy.limits), default=0.0)
    least = asked or least_cosine(target)
    made = quantise_weights(loaded, target, request, clock.stage, form, least)
    return SharedPrecision(source, made, texts, asked)


def _check_accuracy(accuracy: AskedAccuracy, request: PrecisionRequest | None, state: StateRequest | None) -> None:
    if not accuracy:
        return
    if request is None or request.data is None or request.precision == "fp32":
        raise UsageError("--accuracy of several entries is about --precision, and measured on samples of --calibration-data", help=HELP)
    if state is None or state.length is None:
        raise UsageError("--accuracy of several entries is measured only for decoders with caches (--state, --max-length)")
    if accuracy.scripts or any(limit.subject != "cosine" for limit in accuracy.limits):
        raise UsageError("--accuracy of several entries is about the cosine alone", help='for example --accuracy "cosine >= 0.99"')
