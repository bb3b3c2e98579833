"""Help that says what to write, typed where its message points: the message is gone, and nothing about the syntax comes in its place.

The corpus is every file that the messages and the language page are tested with, and misspelt stock targets. The hand that types knows the
help and the span, not the check that wrote it."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from autoglmc.grammar import Diagnostic, Source, analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.code_examples import FOLDER
from autoglmc.targets.stock import stock_names, stock_path

CORPUS = sorted([*FOLDER.glob("*.bad.hw"), *(Path(__file__).parent.parent / "errors").glob("*.hw")])
SYNTAX = ("HW0001", "HW0002", "HW0003")
NUMBER = r"[0-9][0-9.e+-]*"


def found_in(text: str, path: Path) -> tuple[Diagnostic, ...]:
    return analyse_text(text, str(path), rule_facts()).diagnostics


def typings(found: Diagnostic, text: str) -> list[str]:
    """The text with what the help says, once for each thing that it offers; none where it does not say what to write."""
    start, end, help = found.span.start, found.span.end, found.help
    here = text[start:end]

    def instead(new: str, begin: int = start, stop: int = end) -> str:
        return text[:begin] + new + text[stop:]

    def inside(block: re.Match[str] | None, new: str) -> list[str]:
        return [] if block is None else [text[: block.end()] + f" {new}" + text[block.end() :]]

    def statement() -> tuple[int, int]:
        """Of the statement that the span stands in, `;` included."""
        begin = max(text.rfind(sign, 0, start) for sign in ";{}") + 1
        return begin, text.find(";", end - 1) + 1

    if match := re.search(r"did you mean `(&[^`]*)`", help):
        return [instead(match[1] + here[len(here.split(".")[0]) :])]
    if match := re.search(r"did you mean `([^`]*)`", help):
        whole = text.find(";", end) + 1 if match[1].endswith(";") else end
        return [instead(match[1], text.rfind(match[1].split()[0], 0, start) if whole > end else start, whole)]
    if match := re.match(r"(?:known here|its operands|it has|rules for `\w+`): ([^…;`]*?)(?:; a condition|$)", help):
        prefix = re.match(r"&?(?:.*\.)?", here)[0]  # type: ignore[index]
        return [instead(name if name.startswith("&") else prefix + name) for name in match[1].split(", ")]
    if match := re.search(r"memory sizes are usually binary: write `([^`]*)`", help):
        return [instead(match[1])]
    if match := re.search(rf"allow at least ({NUMBER})", help):
        return [instead(match[1])]
    if match := re.search(rf"claim at least `error (abs {NUMBER})`", help):
        if re.fullmatch(NUMBER, here):
            return [instead(match[1].split()[1])]
        if here == "reassociates":
            return [instead(match[1])]
        return [instead(f"error {match[1]}; ", close := text.find("}", end), close)]
    if match := re.match(r"write `(tol [^`]*)` or larger", help):
        return [instead(f"{here} {match[1]}")]
    if match := re.match(r"write for example `(peak (?!\?)[^`]* @guess)`", help):
        return inside(re.compile(rf"device\s+{here}\s*:[^{{]*\{{").search(text), f"{match[1]};")
    if match := re.match(r"write `(shared [^`]*)` in the memory", help):
        return inside(re.search(r"memory\s+\w+\s*\{", re.sub(r"shared[^;]*;", lambda m: " " * len(m[0]), text)), "") and [
            re.sub(r"shared\s+", lambda m: f"{match[1].rstrip(';')}, ", text, count=1)
        ]
    if match := re.match(r"write `(power active [^`]*)` in a device", help):
        return inside(re.search(r"device\s+\w+\s*:[^{]*\{", text), f"{match[1]};")
    if match := re.match(r"write for example `(peak [^`]*)`$", help):
        return [instead(f" {match[1]};", *statement())]
    if match := re.match(r"a cosine is at most 1: write `([^`]*)`", help):
        return [instead(f" {match[1]};", *statement())]
    if match := re.fullmatch(r"write `(&[\w.]+|and|or|==)`(?: to compare)?", help):
        return [instead(match[1])]
    if match := re.fullmatch(r"write `(soc|arch) (\d+)`", help):
        return [instead(match[2] if found.message.endswith(f"found `{here}`") else f"{match[1]} {match[2]}")]
    if match := re.fullmatch(r"write `(device \w+ : \w+)`", help):
        return [instead(match[1].split(" ", 2)[2])]
    if match := re.fullmatch(r"a condition starts with `(where)`", help):
        return [instead(match[1])]
    if re.fullmatch(r"alternatives of a kernel are separated by `\|`", help):
        return [instead("|")]
    if match := re.fullmatch(r"a comma is missing: `(\w+), (\w+)`", help):
        return [instead(f", {here}")]
    if match := re.search(r"it is not included: write `([^`]*)`", help):
        return [f"hw 1;\n{match[1]}\n" + text.replace("hw 1;", "", 1)]
    if match := re.match(r"state which ONNX opsets its runtimes take: `([^`]*)`", help):
        return inside(re.compile(rf"target\s+{here}[^{{]*\{{").search(text), match[1])
    if match := re.fullmatch(r"(?:use a decimal point|numbers are written without quotes|a range is written): ?`([^`]*)`", help):
        return [instead(match[1])]
    if match := re.fullmatch(r"memory `(\w+)` holds \w+: add `(\w+)` to its `shared`", help):
        shared = re.compile(rf"memory\s+{match[1]}\b.*?shared", re.S).search(text)
        return inside(shared, f"{match[2]},")
    if re.fullmatch(r"properties are written without `.`", help):
        return [instead("")]
    if match := re.match(r"write (\d+), or a comparison", help):
        return [instead(re.sub(NUMBER + "$", match[1], here))]
    return []


def check(found: Diagnostic, before: tuple[Diagnostic, ...], text: str, path: Path) -> int:
    """How many texts the help offers; asserts that the message is gone in each."""
    offers = typings(found, text)
    for new in offers:
        after = found_in(new, path)
        count = sum((other.code, other.message) == (found.code, found.message) for other in before)
        left = sum((other.code, other.message) == (found.code, found.message) for other in after)
        assert left < count, f"{path.name}: {found.code} {found.message}\n{found.help}\n{new}"
        broken = {(d.code, d.message) for d in after if d.code in SYNTAX} - {(d.code, d.message) for d in before}
        of_several = found.help.startswith(("known here", "rules for"))  # each may need more behind it: `error abs` a number
        assert not broken or of_several or any(d.code in SYNTAX for d in before), f"{path.name}: {found.help} brings {broken}\n{new}"
    return len(offers)


def own(found: Diagnostic, path: Path) -> bool:
    return found.span.source.name == str(path) and bool(found.help)


def test_what_help_says_to_write_makes_its_message_go() -> None:
    offered: Counter[str] = Counter()
    for path in CORPUS:
        text = path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n")
        before = found_in(text, path)
        for found in before:
            if own(found, path):
                offered[found.code] += check(found, before, text, path)
    assert len(+offered) >= 20 and offered.total() >= 90, offered


@pytest.mark.parametrize("name", stock_names())
def test_a_misspelt_word_is_put_right_by_what_was_meant(name: str) -> None:
    path, dice, tried = stock_path(name), random.Random(name), 0
    text = path.read_text("utf-8")
    words = [
        m for m in re.finditer(r"(?<![\w/.\"])[A-Za-z_]{4,}(?![\w\"])", re.sub(r"//[^\n]*|\"[^\"]*\"", lambda m: " " * len(m[0]), text))
    ]
    for word in dice.sample(words, min(20, len(words))):
        at = dice.randrange(word.start() + 1, word.end())
        wrong = text[:at] + text[at + 1 :] if dice.random() < 0.5 else text[:at] + text[at] + text[at:]
        before = found_in(wrong, path)
        for found in before:
            if own(found, path) and "did you mean" in found.help and Source(str(path), wrong).place(found.span.start)[0]:
                tried += check(found, before, wrong, path)
    assert tried >= 5
