"""Whether the schedule of a manifest computes what it says: every value is written once, before it is read, and is still there then.

Steps may overlap (`run --pipeline`), so `needs` and `waits` are derived again here and not believed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from ...bundle.manifest import Manifest
from ...bundle.plan_records import PortRecord, SegmentRecord, SlotRecord, StepRecord, ValueRecord
from ...errors import BundleError

CALLER = -1
"""The step, as it were, that writes the model's inputs."""


def check_schedule(manifest: Manifest, where: str) -> None:
    """Raises BundleError naming the step, port or value that contradicts the rest."""
    flow = _Flow(manifest, where)
    for value in manifest.model.inputs:
        flow.enter(value)
    for index, step in enumerate(manifest.schedule):
        flow.step(index, step)
    flow.leave()
    flow.check_waits()


class _Flow:
    """Follows the values from step to step."""

    def __init__(self, manifest: Manifest, where: str) -> None:
        self.manifest, self.slots, self.where = manifest, manifest.arena.slots, where
        self.writer: dict[int, int] = {}
        """By slot."""
        self.maker: dict[str, int] = {}
        """By tensor, of those outside the arena."""
        self.users: list[int] = [0] * len(self.slots)
        """By slot with bytes of its own: the steps that read or write it or a range of it, one bit each."""
        self.read: set[int] = set()
        """Slots that a step reads."""
        self.parts: dict[int, list[int]] = {}
        """By slot that no step writes, because its parts are written."""
        for k, slot in enumerate(self.slots):
            if slot.inside is not None and slot.inside.kind == "part":
                self.parts.setdefault(slot.inside.slot, []).append(k)
        self.host = next((self.slots[v.slot].device for v in manifest.model.inputs if v.slot is not None and v.slot < len(self.slots)), "")
        self.ran: list[int] = []

    def fail(self, message: str) -> BundleError:
        return BundleError(message, where=self.where)

    def sources(self, slot: int) -> set[int]:
        """The steps that write its bytes; empty where not all of them are written yet."""
        inside = self.slots[slot].inside
        if inside is not None and inside.kind == "view":
            return self.sources(inside.slot)
        written = [self.writer.get(k) for k in self.parts.get(slot, (slot,))]
        return set() if None in written else {step for step in written if step is not None}

    def enter(self, value: ValueRecord) -> None:
        """An input of the model, which the caller writes before the first step."""
        if value.slot is None:
            if value.name in self.maker:
                raise self.fail(f"model.inputs has {value.name!r} twice")
            self.maker[value.name] = CALLER
            return
        slot = self.value_slot("inputs", value)
        if not self._is_written(value.slot or 0):
            raise self.fail(f"model.inputs: slot {value.slot} of {value.name!r} is made of other slots")
        if slot.lifetime[0] or slot.device != self.host or value.slot in self.writer:
            what = f"lifetime {list(slot.lifetime)} on {slot.device}" + (", for another input too" if value.slot in self.writer else "")
            raise self.fail(f"model.inputs: {value.name!r} must lie on {self.host} from step 0 on; its slot {value.slot} has {what}")
        self.writer[value.slot] = CALLER

    def value_slot(self, field: str, value: ValueRecord) -> SlotRecord:
        assert value.slot is not None
        slot = self.slots[value.slot] if value.slot < len(self.slots) else None
        if slot is None or (slot.dtype, slot.shape) != (value.dtype, value.shape):
            raise self.fail(f"model: {value.name!r} is {value.dtype}{list(value.shape or ())}, its slot {value.slot} is not")
        if slot.tensor != value.name:
            raise self.fail(f"model.{field}: {value.name!r} has slot {value.slot}, which is of {slot.tensor!r}")
        return slot

    def step(self, index: int, record: StepRecord) -> None:
        at = f"schedule[{index}]"
        self._check_form(record, at)
        if record.kind == "run":
            reads, writes, needs = self._run(index, record, at)
        else:
            reads, writes, needs = self._copy(record, at)
        self._use(index, at, reads, writes)
        needs |= {source for slot in reads for source in self.sources(slot)}
        expected = sorted(needs - {CALLER})
        if list(record.needs) != expected:
            raise self.fail(f"{at}.needs is {_few(record.needs)}, what it reads is written by steps {_few(expected)}")
        if any(step >= index for step in record.waits):
            raise self.fail(f"{at}.waits is {_few(record.waits)}: a step can only wait for earlier ones")
        for slot in writes:
            self.writer[slot] = index

    def _check_form(self, record: StepRecord, at: str) -> None:
        """A run has a segment and nothing else, a copy two slots and nothing else: runners look at either."""
        slots = (record.source, record.destination)
        if (record.kind == "run") != (record.segment is not None) or (record.kind == "run" and slots != (None, None)):
            what = f"{at} is a {record.kind} step of segment {record.segment} and slots {list(slots)}"
            kind = "copy" if record.kind == "run" else record.kind
            raise self.fail(f"{what}: a run step has a segment, a {kind} step two slots")

    def _run(self, index: int, record: StepRecord, at: str) -> tuple[list[int], list[int], set[int]]:
        segments = self.manifest.segments
        if record.segment is None or record.segment >= len(segments):
            raise self.fail(f"{at} runs segment {record.segment}, there are {len(segments)}")
        segment = segments[record.segment]
        self.ran.append(record.segment)
        reads, writes = ([port.slot for port in ports if port.slot is not None] for ports in (segment.inputs, segment.outputs))
        self._check_live(index, at, (*reads, *writes))
        self._check_ports(segment)
        needs: set[int] = set()
        for port in segment.inputs:
            if port.slot is None:
                if port.tensor not in self.maker:
                    raise self.fail(f"segments[{segment.index}] reads {port.tensor!r} by name before anything makes it")
                needs.add(self.maker[port.tensor])
        for port in segment.outputs:
            if port.slot is None:
                if port.tensor in self.maker:
                    raise self.fail(f"segments[{segment.index}] makes {port.tensor!r}, which is there already")
                self.maker[port.tensor] = index
        return reads, writes, needs

    def _check_ports(self, segment: SegmentRecord) -> None:
        for field, ports in (("inputs", segment.inputs), ("outputs", segment.outputs)):
            if len({port.tensor for port in ports}) < len(ports):
                raise self.fail(f"segments[{segment.index}].{field} names a tensor twice")
            for port in ports:
                if port.slot is not None:
                    self._check_port(f"segments[{segment.index}].{field}", port, segment.device, field == "outputs")

    def _check_port(self, field: str, port: PortRecord, device: str, written: bool) -> None:
        assert port.slot is not None
        slot = self.slots[port.slot]
        if slot.tensor != port.tensor:
            raise self.fail(f"{field}: {port.tensor!r} has slot {port.slot}, which is of {slot.tensor!r}")
        if device not in ((slot.device,) if written else (slot.device, *slot.aliases)):
            raise self.fail(f"{field}: {device} {'writes' if written else 'reads'} {port.tensor!r} in slot {port.slot} of {slot.device}")

    def _copy(self, record: StepRecord, at: str) -> tuple[list[int], list[int], set[int]]:
        source, destination, slots = record.source, record.destination, self.slots
        known = range(len(slots))
        if source not in known or destination not in known or source is None or destination is None:
            raise self.fail(f"{at} copies from slot {source} to slot {destination}, there are {len(slots)}")
        a, b = slots[source], slots[destination]
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            raise self.fail(f"{at} copies {a.dtype}{list(a.shape)} into {b.dtype}{list(b.shape)}")
        if a.tensor != b.tensor:
            raise self.fail(f"{at} copies {a.tensor!r} into the slot of {b.tensor!r}")
        return [source], [destination], set()

    def _check_live(self, index: int, at: str, used: Iterable[int]) -> None:
        for slot in used:
            if slot >= len(self.slots) or not self.slots[slot].lifetime[0] <= index <= self.slots[slot].lifetime[1]:
                raise self.fail(f"{at} uses slot {slot}, which is not live there")

    def _use(self, index: int, at: str, reads: Sequence[int], writes: Sequence[int]) -> None:
        self._check_live(index, at, (*reads, *writes))
        for slot in reads:
            if not self.sources(slot):
                raise self.fail(f"{at} reads a slot that no step before it writes")
        for slot in writes:
            if slot in self.writer or writes.count(slot) > 1 or not self._is_written(slot):
                raise self.fail(f"{at} writes slot {slot}, which is written already")
        self.read.update(reads)
        for slot in (*reads, *writes):
            inside = self.slots[slot].inside
            self.users[slot if inside is None else inside.slot] |= 1 << index

    def _is_written(self, slot: int) -> bool:
        """Whether a step, or the caller, writes the slot as such: neither a view nor made of parts."""
        inside = self.slots[slot].inside
        return slot not in self.parts and (inside is None or inside.kind == "part")

    def leave(self) -> None:
        """After the last step: everything ran, was written, and the outputs are there."""
        segments, steps = self.manifest.segments, len(self.manifest.schedule)
        if sorted(self.ran) != list(range(len(segments))) or [s.index for s in segments] != list(range(len(segments))):
            raise self.fail("schedule does not run every segment exactly once")
        for output in self.manifest.model.outputs:
            if output.slot is not None:
                self._check_output(output, max(steps - 1, 0))
        unwritten = next((k for k in range(len(self.slots)) if not self.sources(k)), None)
        if unwritten is not None:
            raise self.fail(f"arena.slots[{unwritten}] ({self.slots[unwritten].tensor}) is written by no step")
        self._check_names()
        self._check_read()

    def _check_output(self, output: ValueRecord, last: int) -> None:
        slot = self.value_slot("outputs", output)
        if not self.sources(output.slot or 0) or slot.lifetime[1] < last:
            raise self.fail(f"the output {output.name!r} is not in its slot after the last step")
        if self.host and self.host not in (slot.device, *slot.aliases):
            raise self.fail(f"model.outputs: {output.name!r} lies in slot {output.slot} of {slot.device}, which {self.host} does not bind")

    def _check_names(self) -> None:
        """Values outside the arena are those of arena.host_values."""
        listed = {value.tensor for value in self.manifest.arena.host_values}
        missing = sorted(self.maker.keys() - listed)
        missing += [v.name for v in self.manifest.model.outputs if v.slot is None and v.name not in self.maker]
        if missing:
            raise self.fail(f"{missing[0]!r} has no slot, and arena.host_values does not list it or nothing makes it")
        if len(listed) < len(self.manifest.arena.host_values) or listed - self.maker.keys():
            unknown = sorted(listed - self.maker.keys())
            raise self.fail(
                f"arena.host_values lists {unknown[0]!r}, which nothing makes" if unknown else "arena.host_values lists one twice"
            )

    def _check_read(self) -> None:
        """What steps make is read, or is an output: otherwise an output, or whoever read it, is lost."""
        used = self.read | {output.slot for output in self.manifest.model.outputs if output.slot is not None}
        ranges = [(k, slot.inside) for k, slot in enumerate(self.slots) if slot.inside is not None]
        used |= {inside.slot for k, inside in ranges if inside.kind == "view" and k in used}
        used |= {k for k, inside in ranges if inside.kind == "part" and inside.slot in used}
        for slot in range(len(self.slots)):
            if self.writer.get(slot) != CALLER and slot not in used:
                raise self.fail(f"arena.slots[{slot}] ({self.slots[slot].tensor}) is read by no step, and is not among model.outputs")
        read = {port.tensor for segment in self.manifest.segments for port in segment.inputs if port.slot is None}
        read |= {output.name for output in self.manifest.model.outputs}
        unread = next((name for name, step in self.maker.items() if step != CALLER and name not in read), None)
        if unread is not None:
            raise self.fail(f"{unread!r} is read by no step, and is not among model.outputs")

    def takes_over(self, slot: int, before: int) -> bool:
        """Whether the slot is written over another while its writer reads that one, and the manifest says so (check_in_place.py)."""
        record = self.slots[slot].in_place
        return record is not None and record.slot == before

    def _check_wait(self, slot: int, writer: int, behind: int, before: Sequence[int]) -> None:
        for earlier in before:
            own = 1 << writer if self.takes_over(slot, earlier) else 0
            if self.users[earlier] & ~(behind | own):
                over = f"writes {self.slots[slot].tensor!r} over {self.slots[earlier].tensor!r}"
                raise self.fail(f"schedule[{writer}].waits: it {over} and does not wait for its last use")

    def check_waits(self) -> None:
        """Whoever writes over bytes is behind, by `needs` and `waits`, everybody who used them before."""
        behind: list[int] = []
        for step in self.manifest.schedule:
            reached = 0
            for earlier in (*step.needs, *step.waits):
                reached |= behind[earlier] | 1 << earlier
            behind.append(reached)
        held: list[tuple[int, int, int]] = []  # (begin, end, slot): bytes and who used them last, in order, apart
        own = (k for k, slot in enumerate(self.slots) if slot.inside is None)
        for k in sorted(own, key=lambda k: self.slots[k].lifetime[0]):
            begin, end = self.slots[k].offset, self.slots[k].offset + self.slots[k].bytes
            low = bisect_right(held, begin, key=lambda item: item[1])
            high = bisect_left(held, end, key=lambda item: item[0])
            for writer in sorted(self.sources(k) - {CALLER}):
                self._check_wait(k, writer, behind[writer], [before for _, _, before in held[low:high]])
            rest = [(held[low][0], begin, held[low][2])] if low < high and held[low][0] < begin else []
            more = [(end, held[high - 1][1], held[high - 1][2])] if low < high and held[high - 1][1] > end else []
            held[low:high] = [*rest, (begin, end, k), *more]


def _few(numbers: Sequence[int]) -> str:
    return str(list(numbers)) if len(numbers) <= 8 else f"[{', '.join(map(str, numbers[:8]))}, … {len(numbers)}]"
