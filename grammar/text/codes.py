"""The code of every message, with its severity and meaning: for the language page, the editor and `check --explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .diagnostics import Severity


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    meaning: str


CODES: Mapping[str, Code] = {
    "HW0001": Code("error", "Unexpected token: a sign or word that the syntax does not allow here, or a string that is not closed."),
    "HW0002": Code("error", "A statement does not end with `;`."),
    "HW0003": Code("error", "A block or comment is opened but not closed, or closed but not opened. The indentation decides which."),
    "HW0004": Code("error", "Brackets nested more than 64 deep, or more than 128 operators in one statement. Rejected before parsing."),
    "HW0005": Code("error", "The file is larger than 1 MiB. Rejected before parsing."),
    "HW0006": Code("error", "The file is not valid UTF-8."),
    "HW0007": Code("error", "The file uses a version of the language that this compiler does not support."),
    "HW0008": Code("error", "An included file is not found. Includes are searched beside the file, then among the stock targets."),
    "HW0009": Code("error", "A bucket of `shapes` leaves more than one dim open."),
    "HW0010": Code("error", "More than 200 messages: 200 are shown, errors first. After 2,000 the rest of the file is not checked."),
    "HW0101": Code("error", "An unknown name: of a block, a property, a rule, a kind of limit, a runtime."),
    "HW0102": Code("error", "Two things of the same kind have the same name, or a rule has a reserved name."),
    "HW0103": Code("error", "A property is set twice in one block."),
    "HW0104": Code("error", "Something required is missing. No number has a silent default."),
    "HW0105": Code("error", "An unknown unit."),
    "HW0106": Code("error", "A unit of another dimension, or a number without its unit."),
    "HW0107": Code("warning", "A memory size in decimal units. Vendors write GB and mean GiB; the message shows both values."),
    "HW0108": Code("error", "A number out of range: zero, negative, too large or not whole."),
    "HW0110": Code("error", "A peak without the dtype it applies to."),
    "HW0111": Code("error", "`@measured`, `@src`, `@vendor` or `@proxy` without its source in quotes."),
    "HW0201": Code("error", "A memory is shared with a device that does not exist."),
    "HW0202": Code("error", "A link, an `inherit`, a limit or a `keep` names a device, table or model that does not exist."),
    "HW0203": Code("error", "A device that no memory serves, or without memory for its weights or for what it computes."),
    "HW0204": Code("error", "A device without a path of links to the host, or a target without a host."),
    "HW0205": Code("error", "A file includes itself, or a target, device or table inherits from itself."),
    "HW0206": Code("error", "The path of an `amend` or `delete`, or the target of an `extends`, does not exist."),
    "HW0207": Code("error", "A link from a device or a model to itself."),
    "HW0208": Code("error", "Links and states of a `deploy` that contradict each other: no order of the models carries them out."),
    "HW0301": Code("error", "The budget of a memory exceeds its size."),
    "HW0302": Code("error", "A memory limit exceeds the memory's budget."),
    "HW0303": Code("error", "A link is faster than the memory it copies through."),
    "HW0304": Code("error", "Zero copy between devices that share no memory."),
    "HW0305": Code("error", "Alignments that contradict each other, or one that is not a power of two."),
    "HW0306": Code("error", "An unknown dtype, or one that `precision` requires and no device computes in."),
    "HW0307": Code("warning", "The ratio of peak to bandwidth is implausible: one of the units is probably wrong."),
    "HW0308": Code("error", "A limit on power or energy, but no device states its power."),
    "HW0309": Code("warning", "One dispatch of the device takes longer than the latency or fps limit allows, so the device is never used."),
    "HW0401": Code("error", "Not an ONNX operator. Operators of other domains are written `com.example::Op`."),
    "HW0402": Code("error", "Not a condition, an unknown predicate, or wrong arguments of one."),
    "HW0403": Code("error", "The operator has no such operand or attribute in the declared opsets."),
    "HW0404": Code("error", "The operator was added after the declared opsets, or removed before them."),
    "HW0501": Code("warning", "A `rewrite` line after one that always applies is never reached."),
    "HW0502": Code("error", "A rewrite produces an operator that the device does not support."),
    "HW0503": Code("warning", "Rewrites that may form a cycle."),
    "HW0504": Code("error", "A tolerance below the known error of the rule."),
    "HW0505": Code("error", "A condition that is never true."),
    "HW0506": Code("error", "An operator is both supported and denied without a condition."),
    "HW0507": Code("info", "A `rewrite` line of the file is about an operator that nevertheless always runs on the host."),
    "HW0508": Code("error", "The claimed error of a rule does not hold; the message shows an input where it fails."),
    "HW0509": Code("warning", "A rule overflows in a dtype of the target for inputs whose exact result is finite."),
    "HW0510": Code("info", "A claim that is not checked here: the rule is not elementwise, so it is checked on every compiled model."),
    "HW0511": Code("info", "A rule replaces a built-in rule of the same name."),
    "HW0512": Code("warning", "A line without effect: it repeats what already holds, or depends on something that is missing."),
    "HW0513": Code("warning", "A statement without effect: nothing that is planned, predicted or checked depends on it."),
    "HW0514": Code("info", "A statement that only a compilation uses that is given more than the model, as calibration data."),
    "HW0701": Code("error", "A measured rate above the peak of the device: no operator computes faster than what it runs on."),
    "HW0702": Code("warning", "A measured rate above the bandwidth of the memory, of work that no cache holds."),
    "HW0703": Code("warning", "A line of a calibration that is never reached: an earlier one applies wherever it would."),
    "HW0704": Code("warning", "A rate that rests on fewer than five measured operators."),
    "HW0705": Code("error", "A rate in a unit that does not follow the work of its operator: FLOPS of what only moves bytes, for example."),
    "HW0706": Code("info", "Operators that the device supports and its calibration has no rate for: they cost what the roofline says."),
    "HW0707": Code("info", "A rate that was measured over less than a factor of four in size."),
    "HW0708": Code("info", "A calibration without `interval`: predictions are given without one."),
    "HW0709": Code("warning", "A calibration was measured with another version of the runtime than the installed one."),
    "HW0601": Code("warning", "Only with `--strict`: a limit depends on a number marked `@guess`."),
    "HW0602": Code("warning", "Only with `--strict`: a number without provenance."),
}  # fmt: skip
