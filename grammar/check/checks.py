"""What only shows when the whole target is seen: names that refer to nothing, numbers that do not fit one another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from ...targets.dtypes import FLOATS
from ...targets.model import Device, Limit, Link, Memory
from ...targets.precision import Precision
from ...targets.support import device_dtypes
from ..lower.context import Context
from ..text.diagnostics import Diagnostic, Note, Span
from ..text.syntax import Arg, Statement
from ..words.names import suggestion_or_list
from ..words.properties import PROPERTIES
from .ridge import check_ridge

ROLES = {"weights": "its weights", "activations": "the tensors it computes"}
"""By role of a memory, what a device puts there."""


def check_names(body: Iterable[Statement], context: Context) -> None:
    """HW0201 to HW0204 over the syntax, so that one wrong device does not hide the others."""
    if context.report.broken:
        return
    statements = list(body)
    devices = context.devices
    memories = [item for item in statements if item.head.text == "memory"]
    links = [item for item in statements if item.head.text == "link"]
    heads = _Faults(item for item in context.report.found if item.code == "HW0001")
    if any(heads.within(device.head.span.to(device.args[-1].span)) for device in devices.values()):
        context.report.assumed.add("device")
    addressed: set[str] = set()
    for memory in memories:
        for item in memory.body or ():
            if isinstance(item, Statement) and item.head.text == "shared":
                addressed.update(item.words)
                _known(item.args, devices, "HW0201", context)
    pairs: list[tuple[str, str]] = []
    whole = True
    for link in links:
        whole = _known(link.args, devices, "HW0202", context) and whole
        ends = link.words[:2]
        if len(ends) == 2 and ends[0] == ends[1]:
            help = "a device hands nothing over to itself: name the device at the other end"
            context.report.error("HW0207", link.args[0].span.to(link.args[-1].span), f"a link from `{ends[0]}` to itself", help)
        elif len(ends) == 2:
            pairs.append((ends[0], ends[1]))
            if any(arg.text == "<->" for arg in link.args):
                pairs.append((ends[1], ends[0]))
    if not _sharing_known(memories, context):
        context.report.assumed.add("shared")
    for name, device in devices.items():
        if name not in addressed and not {"memory", "shared"} & context.report.assumed:
            help = f"write `shared {name};` in the memory it addresses"
            context.report.error("HW0203", device.args[0].span, f"device `{name}` has no memory", help)
    if whole and "link" not in context.report.assumed:
        _connected(devices, pairs, context)


class _Faults:
    """Where errors stand, sorted, so that a large file is not searched again for each of its blocks."""

    def __init__(self, found: Iterable[Diagnostic]) -> None:
        self.places: dict[str, list[int]] = {}
        for item in found:
            if item.severity == "error":
                self.places.setdefault(item.span.source.name, []).append(item.span.start)
        for starts in self.places.values():
            starts.sort()

    def within(self, span: Span) -> bool:
        starts = self.places.get(span.source.name, [])
        index = bisect_left(starts, span.start)
        return index < len(starts) and starts[index] <= span.end


def _sharing_known(memories: Iterable[Statement], context: Context) -> bool:
    """Whether every memory says, without a mistake, which devices address it."""
    faults = _Faults(context.report.found)
    for memory in memories:
        shared = [item for item in memory.body or () if isinstance(item, Statement) and item.head.text == "shared"]
        stray = any(isinstance(item, Statement) and item.head.text in context.devices for item in memory.body or ())  # `shared a; b;`
        if not shared or stray or any(faults.within(item.span) for item in shared):
            return False
    return True


def _known(args: Iterable[Arg], devices: Iterable[str], code: str, context: Context) -> bool:
    names = list(devices)
    unknown = [arg for arg in args if arg.kind == "word" and arg.text not in names]
    if unknown and "device" in context.report.assumed:
        return False
    for arg in unknown:
        context.report.error(code, arg.span, f"no device `{arg.text}`", suggestion_or_list(arg.text, names))
    return not unknown


def _host(context: Context) -> str | None:
    """The device that graph inputs come from: `cpu`, else the first that onnxruntime runs."""
    if "cpu" in context.devices:
        return "cpu"
    for name, device in context.devices.items():
        for item in device.body or ():
            if isinstance(item, Statement) and item.head.text == "runtime" and item.words[:1] == ("ort",):
                return name
    return None


def _connected(devices: Mapping[str, Statement], pairs: list[tuple[str, str]], context: Context) -> None:
    if not devices:
        return
    host = _host(context)
    if host is None:
        first = next(iter(devices.values()))
        message = "no device `cpu`: graph inputs come from it and outputs go to it"
        context.report.error("HW0204", first.args[0].span, message, "name the host device `cpu`, or give it `runtime ort`")
        return
    there, back = _reach(host, pairs), _reach(host, [(b, a) for a, b in pairs])
    for name, device in devices.items():
        if name not in there or name not in back:
            way = f"`{host}` to `{name}`" if name not in there else f"`{name}` to `{host}`"
            circle = _circle(name, host, pairs)
            message = f"no chain of links from {way}{f': {circle} lead in a circle' if circle else ''}"
            context.report.error("HW0204", device.args[0].span, message, f"write `link {name} <-> {host} {{ … }}`")


def _circle(device: str, host: str, pairs: list[tuple[str, str]]) -> str:
    """ "the links npu -> gpu -> npu": the shortest way from a device back to it without the host; "" where there is none."""
    ways, queue = {device: device}, [device]
    for here in queue:
        for there in (b for a, b in pairs if a == here and b != host):
            if there == device:
                return f"the links {ways[here]} -> {device}"
            if there not in ways:
                ways[there] = f"{ways[here]} -> {there}"
                queue.append(there)
    return ""


def _reach(start: str, pairs: list[tuple[str, str]]) -> set[str]:
    after: dict[str, list[str]] = {}
    for a, b in pairs:
        after.setdefault(a, []).append(b)
    seen, todo = {start}, [start]
    while todo:
        new = [b for b in after.pop(todo.pop(), ()) if b not in seen]
        seen.update(new)
        todo += new
    return seen


def check_sense(
    memories: list[Memory], devices: list[Device], links: list[Link], precision: Precision, limits: tuple[Limit, ...], context: Context
) -> None:
    """HW03xx: numbers and dtypes that do not fit one another."""
    for memory in memories:
        _memory(memory, context)
    known, by_name = _memories_known(memories, context), {device.name: device for device in devices}
    if known:
        _memory_roles(memories, devices, context)
    _memory_limit(memories, limits, context)
    for device in devices:
        _device(device, [memory for memory in memories if device.name in memory.shared], limits, context)
    for link in links:
        _link(link, memories, known, by_name, context)
    _dtypes(precision, devices, context)
    if not context.report.broken and devices and all(device.computing_power is None for device in devices):
        for limit in limits:
            if limit.kind in ("power", "energy"):
                help = "write `power active 2 W, idle 0.1 W` in a device"
                message = f"a limit on {limit.kind}, but no device states its `power`"
                context.report.error("HW0308", _limit_span(limit, context), message, help)


def _limit_span(limit: Limit, context: Context) -> Span:
    return context.spans[f"limits.{limit.kind}.{limit.subject}"]


def _memory(memory: Memory, context: Context) -> None:
    path = f"memory.{memory.name}"
    if memory.budget > memory.size:
        note = (Note("the size is here", context.spans.get(f"{path}.size")),)
        message = f"the budget of `{memory.name}` is larger than its size"
        context.report.error("HW0301", context.spans[f"{path}.budget"], message, "", note)
    _powers_of_two(memory, "memory", path, context)


def _memory_limit(memories: list[Memory], limits: tuple[Limit, ...], context: Context) -> None:
    """Against the largest working memory: a scratchpad beside it is not what the limit is about, nor flash that is only read."""
    working = [memory for memory in memories if "activations" in memory.holds]
    if not working:
        return
    largest = max(working, key=lambda memory: memory.budget)
    path = f"memory.{largest.name}"
    for limit in limits:
        if limit.kind == "memory" and limit.value > largest.budget:
            where = context.spans.get(f"{path}.budget") or context.spans.get(f"{path}.size")
            message = f"the limit allows more than the budget of `{largest.name}`"
            context.report.error("HW0302", _limit_span(limit, context), message, "", (Note("the budget is here", where),))


def _memory_roles(memories: Sequence[Memory], devices: Sequence[Device], context: Context) -> None:
    """HW0203 for devices that have nowhere to put their weights or their activations. `memories` are all there are."""
    for device in devices:
        shared = [memory for memory in memories if device.name in memory.shared]
        for role, what in ROLES.items():
            if shared and not any(role in memory.holds for memory in shared):
                message = f"device `{device.name}` has no memory for {what}"
                context.report.error(
                    "HW0203", context.spans[f"device.{device.name}"], message, _memory_help(memories, shared, role, device)
                )


def _memory_help(memories: Sequence[Memory], shared: Sequence[Memory], role: str, device: Device) -> str:
    """Sharing a memory that holds it already is the smaller change."""
    ready = [memory.name for memory in memories if role in memory.holds]
    if ready:
        return f"memory `{ready[0]}` holds {role}: add `{device.name}` to its `shared`"
    names = " and ".join(f"`{memory.name}` ({', '.join(memory.holds)})" for memory in shared)
    return f"it addresses {names}: add `{role}` to a `holds`, or describe the memory that holds {role}"


def _powers_of_two(item: Memory | Link, block: str, path: str, context: Context) -> None:
    """HW0305 for each number of a block that must be a power of two and is none."""
    for name, row in PROPERTIES[block].items():
        for number in row.numbers:
            value = getattr(item, number.field)
            if number.power_of_two and value & (value - 1) and f"{path}.{number.field}" in context.spans:
                what = f"{name} {number.word}".strip()
                message = f"`{what}` is {value} bytes, which is not a power of two"
                context.report.error("HW0305", context.spans[f"{path}.{number.field}"], message)


def _device(device: Device, memories: list[Memory], limits: tuple[Limit, ...], context: Context) -> None:
    path = f"device.{device.name}"
    check_ridge(device, memories, context)
    for limit in limits:
        allowed = limit.value if limit.kind == "latency" else 1 / limit.value if limit.kind == "fps" else None
        if allowed is not None and device.segment_dispatch > allowed:
            note = (Note("the limit is here", _limit_span(limit, context)),)
            message = f"one dispatch of `{device.name}` already exceeds the {limit.kind} limit"
            context.report.add("warning", "HW0309", context.spans[f"{path}.dispatch"], message, "", note)


def _link(link: Link, memories: list[Memory], known: bool, devices: dict[str, Device], context: Context) -> None:
    path = f"link.{link.source}-{link.destination}"
    span = context.spans[path]
    working = [memory for memory in memories if "activations" in memory.holds]
    common = [memory for memory in working if link.source in memory.shared and link.destination in memory.shared]
    both_known = link.source in devices and link.destination in devices
    if link.zero_copy and not common and both_known and known:
        message = f"zero copy between `{link.source}` and `{link.destination}`, which share no memory"
        context.report.error("HW0304", span, message, "add both to `shared` of one memory, or write `copy`")
    fastest = max((memory.bandwidth for memory in memories), default=float("inf"))
    if link.copy_bandwidth is not None and link.copy_bandwidth > fastest:
        message = f"the link copies faster than its memory ({fastest / 1e9:g} GB/s)"
        context.report.error("HW0303", context.spans[f"{path}.copy_bandwidth"], message)
    _powers_of_two(link, "link", path, context)
    for name in (link.source, link.destination):
        own = devices[name].row_align if name in devices else 1
        if own % link.row_align and link.row_align % own and f"{path}.row_align" in context.spans:
            message = f"row alignments of {link.row_align} bytes here and {own} on `{name}` are incompatible"
            note = (Note("the device's is here", context.spans.get(f"device.{name}.row_align")),)
            context.report.error("HW0305", context.spans[f"{path}.row_align"], message, "", note)


def _memories_known(memories: list[Memory], context: Context) -> bool:
    """Whether every memory was read whole, so that what no memory shares is shared by none."""
    written = sum(path.startswith("memory.") and path.count(".") == 1 for path in context.spans)
    return len(memories) == written and not context.report.broken and not {"memory", "shared"} & context.report.assumed


def _dtypes(precision: Precision, devices: list[Device], context: Context) -> None:
    """HW0306: a dtype that `precision` asks for and nothing computes in."""
    if context.report.broken or len(devices) < len(context.devices):
        return
    offered = {dtype for device in devices for dtype in device_dtypes(device)}
    everything = any(block.everything for device in devices for block in device.supports)
    asked = [precision.default] if precision.default else []
    asked += [into for into, _ in precision.compute]
    for dtype in dict.fromkeys(asked):
        if dtype not in offered and not (everything and dtype in FLOATS):
            context.report.error("HW0306", context.spans["precision"], f"no device computes in {dtype}")
