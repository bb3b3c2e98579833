"""supports, deny, kernel: which operators a device runs, under which conditions, and which chains are one launch."""

from __future__ import annotations

from dataclasses import replace

from ...targets.dtypes import DTYPES, FLOATS
from ...targets.formula import Expression
from ...targets.model import KernelChain, KernelStage, OperatorRule, SupportBlock
from ...targets.operators import operator_names, versions_of
from ..text.syntax import Arg, Statement
from ..words.names import suggestion, suggestion_or_list
from ..words.reader import Reader
from .context import Context
from .expression import lower_condition

ALL = "all"
"""The line of a `supports` block that stands for every operator."""
STANDARD_DOMAINS = ("ai.onnx.ml::", "ai.onnx.preview.training::", "ai.onnx.preview::")


def check_operator(arg: Arg, context: Context, in_range: bool = True) -> bool:
    """HW0401 and HW0404; an operator of a domain that is not ONNX's own is taken as it is."""
    name = arg.text.removeprefix("ai.onnx::")
    versions = versions_of(name)
    if not versions and "::" in name and not name.startswith(STANDARD_DOMAINS):
        return True
    if not versions:
        help = suggestion(name, operator_names()) or "operators of other domains are written `com.example::Op`"
        context.report.error("HW0401", arg.span, f"`{name}` is not an ONNX operator", help)
        return False
    low, high = context.opsets(arg.span)
    if in_range and "::" not in name and versions[0].since > high:
        message = f"`{name}` was added in opset {versions[0].since}; this target takes {low}..{high}"
        context.report.error("HW0404", arg.span, message, "widen `onnx opset`, or leave the operator out")
        return False
    gone = [version for version in versions if version.deprecated and version.since <= low]
    if in_range and "::" not in name and gone:
        context.report.error("HW0404", arg.span, f"`{name}` was removed in opset {gone[0].since}; this target takes {low}..{high}")
        return False
    return True


def split_name(name: str) -> tuple[str, str]:
    """("", "Conv") of "Conv" and "ai.onnx::Conv", ("com.microsoft", "Gelu") of "com.microsoft::Gelu"."""
    domain, _, operator = name.rpartition("::")
    return ("" if domain == "ai.onnx" else domain), operator


def lower_line(statement: Statement, context: Context) -> list[OperatorRule]:
    """`Conv, ConvTranspose where …;` as one rule an operator."""
    reader = Reader(statement, context.report)
    names = [statement.head]
    while reader.take_sign(","):
        name = reader.take("word", "an operator after the comma")
        if name is None:
            return []
        names.append(name)
    reader.skip_provenance()
    reader.end()
    if reader.failed:
        return []
    if statement.otherwise is not None:
        context.report.error("HW0001", statement.span, "the condition of an operator takes no `else`")
    rules = []
    before = len(context.report.found)
    for name in names:
        if check_operator(name, context):
            ok, where = operator_condition(statement, name, context)
            domain, operator = split_name(name.text)
            if ok:
                rules.append(OperatorRule(domain=domain, operator=operator, where=where, origin=name.span.origin))
    if len(names) > 1 and len(rules) < len(names):
        about_all(before, context)
    return rules


def about_all(before: int, context: Context) -> None:
    """Help where a condition does not fit every operator of a list."""
    for index, found in enumerate(context.report.found[before:], before):
        if found.code == "HW0403" and "did you mean" not in found.help:
            all_of_them = "a condition applies to every operator listed before it: put the others on a line of their own"
            context.report.found[index] = replace(found, help="; ".join(filter(None, (found.help, all_of_them))))


def operator_condition(statement: Statement, operator: Arg, context: Context) -> tuple[bool, Expression | None]:
    """(whether nothing in it is wrong, the `where` of a line for that operator, None without one)"""
    if statement.where is None:
        return True, None
    where = lower_condition(statement.where, context.scope(operator.text, operator.span), context.report)
    return where is not None, where


def lower_supports(statement: Statement, context: Context, path: tuple[str, ...]) -> SupportBlock | None:
    """`supports fp16, fp32 { … }` or `supports all;`; `path` names the devices whose tables led here through `inherit`."""
    reader = Reader(statement, context.report)
    if reader.take_word_if("all"):
        reader.skip_provenance()
        reader.end()
        if statement.body:
            context.report.error("HW0001", statement.head.span, "`supports all` takes no block", "use `deny { … }` for exceptions")
        return SupportBlock(dtypes=(), everything=True, rules=(), origin=statement.head.span.origin)
    dtypes = _dtypes(reader)
    reader.end()
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, "`supports` needs a block of operators, or `all`")
        return None
    rules: list[OperatorRule] = []
    for item in statement.body:
        if not isinstance(item, Statement):
            context.report.error("HW0101", item.span, "a `rule` must be outside the target")
        elif item.head.text == "inherit":
            rules += _inherited(item, context, dtypes, path)
        elif item.head.text == ALL:
            rules += _all(item, context)
        else:
            rules += lower_line(item, context)
    return SupportBlock(dtypes=dtypes, everything=False, rules=tuple(rules), origin=statement.head.span.origin)


def _all(statement: Statement, context: Context) -> list[OperatorRule]:
    """`all;` in the block of a dtype: every operator that is known, in that dtype, and nothing of the rest."""
    reader = Reader(statement, context.report)
    reader.skip_provenance()
    reader.end()
    if statement.where is not None:
        help = "list the operators that it is about, or write the exceptions into `deny { … }`"
        context.report.error("HW0001", statement.where.span, "`all` takes no condition", help)
    origin = statement.head.span.origin
    names = (split_name(name) for name in operator_names())
    return [OperatorRule(domain=domain, operator=operator, where=None, origin=origin) for domain, operator in names]


def _dtypes(reader: Reader) -> tuple[str, ...]:
    found: list[str] = []
    while True:
        arg = reader.take_choice(DTYPES, "a dtype", "HW0306")
        if arg is not None:
            found.append(arg.text)
        if arg is None or not reader.take_sign(","):
            return tuple(dict.fromkeys(found))


def _inherited(statement: Statement, context: Context, dtypes: tuple[str, ...], path: tuple[str, ...]) -> list[OperatorRule]:
    """The rules of another device's blocks of the same kind: float blocks into a float block, int64 into int64."""
    reader = Reader(statement, context.report)
    name = reader.take("word", "the name of a device")
    reader.end()
    if name is None:
        return []
    device = context.devices.get(name.text)
    if device is None:
        message = f"no device or table `{name.text}` to inherit from"
        context.report.error("HW0202", name.span, message, suggestion_or_list(name.text, (*context.devices, *context.tables)))
        return []
    if name.text in path:
        context.report.error("HW0205", name.span, f"`{name.text}` inherits from itself: {' -> '.join((*path, name.text))}")
        return []
    floats = any(dtype in FLOATS for dtype in dtypes)
    rules: list[OperatorRule] = []
    quiet = replace(context, report=type(context.report)(), facts=[], spans={})  # its own lowering reports
    for item in device.body or ():
        if isinstance(item, Statement) and item.head.text == "supports":
            block = lower_supports(item, quiet, (*path, name.text))
            if block and (not set(block.dtypes).isdisjoint(dtypes) or (floats and any(dtype in FLOATS for dtype in block.dtypes))):
                rules += block.rules
    for found in quiet.report.found:
        if found.code == "HW0205":
            context.report.found.append(found)
    return rules


def lower_deny(statement: Statement, context: Context) -> list[OperatorRule]:
    """`deny { Gather where …; TopK, NonZero; }`, or `deny TopK;` without a block."""
    if statement.body is not None:
        Reader(statement, context.report).end()
        return [rule for item in statement.body if isinstance(item, Statement) for rule in lower_line(item, context)]
    if not statement.args or statement.args[0].kind != "word":
        context.report.error("HW0001", statement.head.span, "`deny` needs a block of operators, or one operator")
        return []
    head, rest = statement.args[0], statement.args[1:]
    return lower_line(Statement(head, rest, statement.where, statement.otherwise, None, statement.span), context)


def lower_kernel(statement: Statement, context: Context) -> list[KernelChain]:
    """`kernel { Conv -> Relu | Clip;  MatMul -> Add -> Gelu?; }`"""
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, "`kernel` needs a block of chains, as in `kernel { Conv -> Relu; }`")
        return []
    chains = [_chain(item, context) for item in statement.body if isinstance(item, Statement)]
    return [chain for chain in chains if chain is not None]


def _chain(statement: Statement, context: Context) -> KernelChain | None:
    reader = Reader(statement, context.report)
    fine = check_operator(statement.head, context, in_range=False)
    stages: list[KernelStage] = []
    names = [statement.head.text]
    while True:
        while reader.take_sign("|"):
            name = reader.take("word", "an operator after `|`")
            fine = name is not None and check_operator(name, context, in_range=False) and fine
            names += [name.text] if name else []
        stages.append(KernelStage(operators=tuple(names), optional=reader.take_sign("?") is not None))
        if not reader.take_sign("->"):
            break
        name = reader.take("word", "an operator after `->`")
        fine = name is not None and check_operator(name, context, in_range=False) and fine
        names = [name.text] if name else []
    reader.end()
    if statement.where is not None:
        context.report.error("HW0001", statement.where.span, "a kernel chain takes no condition")
    if stages[0].optional:
        context.report.error("HW0001", statement.head.span, "the first operator of a chain cannot be optional")
    return KernelChain(stages=tuple(stages), origin=statement.head.span.origin) if fine and not reader.failed else None
