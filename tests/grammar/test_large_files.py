"""A .hw file is read in work that grows with its length, whatever it has many of. Calls are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from counted import calls_of

from autoglmc.grammar import STOCK, Result, analyse_text
from autoglmc.grammar.text.parser import parser
from autoglmc.grammar.text.syntax import MAX_BYTES

BASE = (STOCK / "ethos_u55_256.hw").read_text("utf-8")
OPERANDS = {
    "Add": "A",
    "Mul": "A",
    "Relu": "X",
    "Conv": "X",
    "MatMul": "A",
    "Sigmoid": "X",
    "Gemm": "A",
    "Tanh": "input",
    "Softmax": "input",
}
LINEAR, OF_LARK = 1.1, 1.5


def operator_lines(count: int) -> str:
    pairs = [(operator, OPERANDS[operator], k) for k, operator in zip(range(count), list(OPERANDS) * count, strict=False)]
    lines = "".join(f"{operator} where rank({x}) <= {k % 8} and const({x});\n" for operator, x, k in pairs)
    return BASE.replace("supports  all;", f"supports fp32 {{\n{lines}}}")


def denied(count: int) -> str:
    return BASE.replace("supports  all;", f"supports all; deny {{ {' '.join(f'{list(OPERANDS)[k % 9]};' for k in range(count))} }}")


def _shared(text: str, count: int) -> str:
    """Every device in the memory of the first two."""
    return text.replace("shared    npu, cpu", f"shared npu, cpu, {', '.join(f'd{k}' for k in range(count))}")


def rates(count: int) -> str:
    """With conditions, and every other line hidden by an earlier one."""
    pairs = [(operator, OPERANDS[operator], k) for k, operator in zip(range(count), list(OPERANDS) * count, strict=False)]
    lines = "".join(
        f"rate {operator} {k + 1} MB/s seen 1..{k + 9} MB n {k + 9} where rank({x}) <= {k % 16} and const({x});\n"
        for operator, x, k in pairs
    )
    return BASE.replace("supports  all;", f"supports all; calibration {{\n{lines}}}")


def devices(count: int) -> str:
    made = "".join(
        f"device d{k} : chip {{ runtime none; peak fp32 2 GFLOPS; sustained 50 %; dispatch 2 us; launch 1 us; supports all; }}\n"
        f"link d{k} <-> cpu {{ via sram; zero_copy; align 16 B; handoff 5 us; }}\n"
        for k in range(count)
    )
    return _shared(BASE.replace("  link npu", made + "  link npu", 1), count)


def chain_of_links(count: int) -> str:
    made = "".join(
        f"device d{k} : chip {{ runtime none; peak fp32 2 GFLOPS; sustained 50 %; dispatch 2 us; launch 1 us; supports all; }}\n"
        f"link d{k} <-> {f'd{k - 1}' if k else 'cpu'} {{ via sram; zero_copy; align 16 B; handoff 5 us; }}\n"
        for k in range(count)
    )
    return _shared(BASE.replace("  link npu", made + "  link npu", 1), count)


def memories(count: int) -> str:
    made = "".join(f"memory m{k} {{ size 1 MiB; bandwidth 1 GB/s; holds weights; shared npu, cpu; }}\n" for k in range(count))
    return BASE.replace("  device npu", made + "  device npu", 1)


def rules(count: int) -> str:
    made = "".join(f"rule r{k}(x) {{ match Relu(x) + {k}; emit Add(Relu(x), {k}); }}\n" for k in range(count))
    return BASE.replace("target ethos", made + "target ethos", 1)


def tables(count: int) -> str:
    made = "".join(f"operators t{k} {{ supports fp32 {{ Add where rank(A) <= {k % 8}; }} }}\n" for k in range(count))
    return BASE.replace("target ethos", made + "target ethos", 1)


def shapes(count: int) -> str:
    return BASE.replace("  device npu", f"  shapes {{ {' '.join(f'x : 1x{k + 1};' for k in range(count))} }}\n  device npu", 1)


def mistakes(count: int) -> str:
    return BASE.replace("supports  all;", f"supports fp32 {{ {' '.join(f'Conv where rank(Y{k}) == 1;' for k in range(count))} }}")


def syntax_errors(count: int) -> str:
    return BASE.replace("supports  all;", f"supports fp32 {{ {chr(10).join(f'Conv where rank(X == {k};' for k in range(count))} }}")


MANY = {
    made.__name__: made
    for made in (operator_lines, rates, denied, devices, chain_of_links, memories, rules, tables, shapes, mistakes, syntax_errors)
}


def work(text: str) -> tuple[int, Result]:
    found: list[Result] = []
    calls = calls_of(lambda: found.append(analyse_text(text, str(STOCK / "large.hw"))))
    return calls, found[0]


@pytest.mark.parametrize("write", MANY.values(), ids=MANY)
def test_each_line_costs_the_same(write: Callable[[int], str]) -> None:
    sizes = (20, 40, 60) if write in (rules, syntax_errors) else (300, 400, 500) if write is rates else (60, 120, 180)
    work(write(2))
    least, middle, most = (work(write(size))[0] for size in sizes)
    assert most - middle <= LINEAR * (middle - least) + 1000


def test_operator_lines_take_at_most_half_as_much_again_as_lark() -> None:
    """What a line adds; the time is about the same, less what lark's own objects cost the collector of garbage."""
    few, many = operator_lines(100), operator_lines(400)
    work(few)  # what is read once a process
    ours, found = work(many)
    assert found.target is not None, found.diagnostics
    lark = calls_of(lambda: parser().parse(many)) - calls_of(lambda: parser().parse(few))
    assert ours - work(few)[0] <= OF_LARK * lark


def test_a_file_above_the_stated_size_is_refused_before_it_is_parsed() -> None:
    calls, found = work(operator_lines(30_000))
    assert len(operator_lines(20_000)) < MAX_BYTES < len(operator_lines(30_000))
    assert [d.code for d in found.diagnostics] == ["HW0005"]
    assert calls < 2 * 30_000  # it finds the ends of lines


def test_many_includes_are_read_once_each(tmp_path: Path) -> None:
    def read(count: int) -> int:
        for k in range(count):
            (tmp_path / f"t{k}.hw").write_text(f'hw 1;\n{"" if k == 0 else f"""include "t{k - 1}.hw";"""}\n', "utf-8")
        named = "".join(f'include "t{k}.hw";\n' for k in range(count))
        return calls_of(lambda: analyse_text(BASE.replace('include "std', f'{named}include "std', 1), str(tmp_path / "large.hw")))

    read(2)
    least, middle, most = (read(size) for size in (20, 40, 60))
    assert most - middle <= LINEAR * (middle - least) + 1000
