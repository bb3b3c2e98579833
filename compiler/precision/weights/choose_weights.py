"""In how many bits each weight is, of all entries alike: what outputs of the model lose by it is measured weight by weight, the solver
chooses the fastest step within a sum of losses, and the choice is measured as a whole; a bisection on the sum ends at the accuracy that is
asked for.

What a product loses in 8 bits is what it loses in 4, less as its own result changes less: as small as these errors are, outputs follow them
in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....passes.graph.graph import Graph
from ....passes.precision.block_rounding import BlockRounding
from ....passes.precision.choose_storage import choose_storage
from ....targets.precision import FORMS, Form
from ...activity import doing
from ...bundle.precision_record import FormRecord, UnitRecord
from ..accuracy import cosine
from ..kept_ranges import keep_losses, kept_losses
from ..losses import loss_of
from ..unit_table import rounded_to_4
from .fit_weights import FittedWeights
from .open_weights import OpenWeights
from .weight_candidates import Candidate, WayToStore, rounded

SAMPLES, SINGLE = 4, 1
"""That a choice is measured on, and what a single weight loses: of a decoder every token of a text is a measurement."""
AIM = 0.8
"""Of what the accuracy may lose: other samples lose more than those that a choice is measured on."""
ROUNDS = 10
"""Choices that are measured as a whole, at most."""
NEAR = 1.05
"""Limits on the sum of losses closer than this factor are not told apart."""
PER_BYTE = 1e-11
"""Seconds that a byte counts as, so that a weight is not in fp32 where 8 bits take as long: 100 MB are 1 ms."""
KEPT_EVERY = 16
"""Losses that are measured before those known are kept."""
FLOAT = "fp32"


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """A form for each weight."""

    forms: Mapping[str, Form]
    """By the first tensor that an operator writes; not of those in fp32."""
    cosine: float
    """Of the model's outputs, mean over the samples that losses were measured on."""
    units: tuple[UnitRecord, ...]


@dataclass(frozen=True, slots=True)
class WeightJudge:
    """The float model's outputs on some samples, and a model whose weights may be others."""

    graph: Graph
    model: OpenWeights
    samples: Sequence[Mapping[str, Any]]
    expected: tuple[tuple[Any, ...], ...]
    rounding: BlockRounding

    def run(self, forms: Mapping[str, Form], most: int = SAMPLES) -> tuple[tuple[Any, ...], ...]:
        """Outputs with the weights of these operators in these forms, per sample, of which `most` are taken."""
        instead: dict[str, Any] = {}
        for node in self.graph.nodes:
            if node.writes and node.writes[0] in forms:
                instead |= rounded(self.graph, node, forms[node.writes[0]], self.rounding)
        return tuple(self.model.run(sample, instead) for sample in self.samples[:most])

    def loss(self, forms: Mapping[str, Form]) -> float:
        """How far the outputs move."""
        return loss_of(self.expected[:SINGLE], self.run(forms, SINGLE))

    def cosine(self, forms: Mapping[str, Form]) -> float:
        """Mean over samples of the least of the outputs."""
        pairs = zip(self.expected, self.run(forms), strict=True)
        return sum(min(map(cosine, own, other)) for own, other in pairs) / len(self.expected)


def judge_weights(graph: Graph, outputs: Sequence[str], samples: Sequence[Mapping[str, Any]], rounding: BlockRounding) -> WeightJudge:
    """outputs: those that accuracy is of. Raises ModelError where the model does not run."""
    model = OpenWeights(graph, outputs)
    return WeightJudge(graph, model, samples, tuple(model.run(sample) for sample in samples), rounding)


def choose_weights(judge: WeightJudge, found: Sequence[Candidate], fitted: FittedWeights, key: str, least: float) -> WeightChoice:
    """The fastest forms whose outputs have a cosine of `least` with the float model's, and a little more. key: of losses that are kept."""
    losses, least = _losses(judge, found, fitted, key), 1 - AIM * (1 - least)
    low, high, most = 0.0, float("inf"), (2 * (1 - least)) ** 0.5
    best, accuracy = tuple(len(one.ways) - 1 for one in found), 1.0
    for _ in range(ROUNDS):
        chosen = _solved(found, losses, most)
        with doing("measuring what the chosen weights lose"):
            cosine = judge.cosine(forms_of(found, chosen))
        if cosine >= least:
            low, best, accuracy = most, chosen, cosine
        else:
            high = most
        if high <= low * NEAR or (cosine >= least and not any(chosen)):
            break
        most = (low * high) ** 0.5 if low and high < float("inf") else most * 2 if low else most / 2
    return WeightChoice(forms_of(found, best), accuracy, tuple(_rows(found, losses, best)))


def forms_of(found: Sequence[Candidate], chosen: Sequence[int]) -> dict[str, Form]:
    """chosen: of each candidate the index of a way."""
    each = ((one.tensor, one.ways[k].form) for one, k in zip(found, chosen, strict=True))
    return {name: form for name, form in each if form.name != FLOAT}


def _solved(found: Sequence[Candidate], losses: Sequence[Sequence[float]], most: float) -> tuple[int, ...]:
    each = zip(found, losses, strict=True)
    return choose_storage(
        [[(way.seconds + way.bytes * PER_BYTE, loss) for way, loss in zip(one.ways, own, strict=True)] for one, own in each], most
    )


def _losses(judge: WeightJudge, found: Sequence[Candidate], fitted: FittedWeights, key: str) -> list[list[float]]:
    """Of each way of each candidate."""
    kept, losses = kept_losses(key), []
    for number, one in enumerate(found, 1):
        own: list[float] = []
        for k, way in enumerate(one.ways[:-1]):
            if k and one.tensor in fitted.finer:
                own.append(own[0] * fitted.finer[one.tensor])
                continue
            name = f"{one.tensor} {way.form}"
            if name not in kept:
                with doing(f"measuring what weights lose in fewer bits ({number} of {len(found)})"):
                    kept[name] = judge.loss({one.tensor: way.form})
                if number % KEPT_EVERY == 0:
                    keep_losses(key, kept)
            own.append(kept[name])
        losses.append([*own, 0.0])
    keep_losses(key, kept)
    return losses


def _rows(found: Sequence[Candidate], losses: Sequence[Sequence[float]], chosen: Sequence[int]) -> list[UnitRecord]:
    """Those that stay in fp32, or in more bits than they might have, with all that they were chosen from; of the others the form chosen."""
    rows = []
    for one, own, k in zip(found, losses, chosen, strict=True):
        ways = [_record(way, loss) for way, loss in zip(one.ways, own, strict=True)]
        because = "fewer bits would lose more than the accuracy leaves" if one.ways[k].form == FORMS["fp32"] else ""
        name = one.node.name or one.tensor
        rows.append(UnitRecord(operators=(name,), kind=one.node.kind, chosen=one.ways[k].form.name, forms=tuple(ways), because=because))
    return rows


def _record(way: WayToStore, loss: float) -> FormRecord:
    numbers = {"loss": rounded_to_4(loss), "seconds": rounded_to_4(way.seconds)}
    return FormRecord(form=way.form.name, device=way.device, weight_bytes=way.bytes, **numbers)
