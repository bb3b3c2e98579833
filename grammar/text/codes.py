"""Every code a message can carry: what it means, and how bad it is. The language page and the editor show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .diagnostics import Severity


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    meaning: str


CODES: Mapping[str, Code] = {
    "HW0001": Code("error", "Something stands where it cannot: a sign, a word, a string without its second quote."),
    "HW0002": Code("error", "A statement does not end in `;`."),
    "HW0003": Code("error", "A block or a comment is opened and not closed, or closed and not opened. The indentation decides which."),
    "HW0004": Code("error", "More than 64 brackets inside one another, or 128 operators in one statement. Refused before parsing."),
    "HW0005": Code("error", "The file has more than 1 MiB. Refused before parsing."),
    "HW0006": Code("error", "The file is not a text in UTF-8."),
    "HW0007": Code("error", "The file is in a version of the language that this compiler does not know."),
    "HW0008": Code("error", "An included file is not there. Includes are looked for beside the file, then among the stock targets."),
    "HW0009": Code("error", "A bucket of `shapes` leaves more than one dim open."),
    "HW0010": Code("error", "More than 200 messages: the first 200 errors are shown. After 2,000 the rest of the file is not checked."),
    "HW0101": Code("error", "A word that its place does not know: a block, a property, a rule, a kind of limit, a runtime."),
    "HW0102": Code("error", "Two things of one kind have the same name, or a rule has a name with a meaning of its own."),
    "HW0103": Code("error", "A property is set twice in one block."),
    "HW0104": Code("error", "Something required is missing. No number has a silent default."),
    "HW0105": Code("error", "A unit that does not exist."),
    "HW0106": Code("error", "A unit of something else, or a number without its unit."),
    "HW0107": Code("warning", "A memory in decimal units. Vendors write GB and mean GiB; both values are told."),
    "HW0108": Code("error", "A number that is zero, negative, too large or not whole, where that cannot be."),
    "HW0110": Code("error", "A peak without the dtype it is reached in."),
    "HW0111": Code("error", "`@src`, `@vendor` or `@proxy` without its source in quotes."),
    "HW0201": Code("error", "A memory is shared with a device that is not there."),
    "HW0202": Code("error", "A link, an `inherit`, a limit or a `keep` names a device or table that is not there."),
    "HW0203": Code("error", "A device that no memory serves, or none for its weights or for what it computes."),
    "HW0204": Code("error", "A device that no chain of links joins to the host, or no host at all."),
    "HW0205": Code("error", "A file includes itself, or a target, device or table inherits from itself."),
    "HW0206": Code("error", "The path of an `amend` or `delete`, or the target of an `extends`, does not exist."),
    "HW0301": Code("error", "The budget of a memory is more than its size."),
    "HW0302": Code("error", "A memory limit allows more than the memory's budget."),
    "HW0303": Code("error", "A link copies faster than the memory it copies through."),
    "HW0304": Code("error", "Zero copy between devices that share no memory."),
    "HW0305": Code("error", "Alignments that cannot both hold, or one that is not a power of two."),
    "HW0306": Code("error", "A dtype that does not exist, or that `precision` asks for and no device computes in."),
    "HW0307": Code("warning", "Peak and bandwidth are so far apart that one of the units is probably wrong."),
    "HW0308": Code("error", "A limit on power, and no device says what it draws."),
    "HW0309": Code("warning", "One dispatch of the device takes longer than the latency limit, so it will never be used."),
    "HW0401": Code("error", "Not an operator of ONNX. Operators of other domains are written `com.example::Op`."),
    "HW0402": Code("error", "Not a condition, or not a predicate, or not with these arguments."),
    "HW0403": Code("error", "The operator has no such operand or attribute in the declared opsets."),
    "HW0404": Code("error", "The operator came after the declared opsets, or was removed before them."),
    "HW0501": Code("warning", "A `rewrite` line behind one that is always taken."),
    "HW0502": Code("error", "A rewrite leads to an operator that the device does not have."),
    "HW0503": Code("warning", "Rewrites that may lead back to where they began."),
    "HW0504": Code("error", "A tolerance tighter than the error the rule is known to have."),
    "HW0505": Code("error", "A condition that can never hold."),
    "HW0506": Code("error", "An operator both supported and denied, neither under a condition."),
    "HW0507": Code("info", "The file speaks of an operator that nevertheless always runs on the host."),
    "HW0508": Code("error", "The error that a rule claims does not hold; the message has the input that shows it."),
    "HW0509": Code("warning", "A rule overflows in a dtype of the target for inputs whose result is finite."),
    "HW0510": Code("info", "A claim that is not tried here: the rule is not computed element by element, so it is tried on real models."),
    "HW0511": Code("info", "A rule takes the place of a built-in rule of the same name."),
    "HW0512": Code("warning", "A line without effect: what it says already holds, or something it needs is not there."),
    "HW0601": Code("warning", "Only with `--strict`: a limit rests on a number marked `@guess`."),
}  # fmt: skip
