from __future__ import annotations

import json
import pickle

from autoglmc.compiler.errors import (
    BundleError,
    Infeasible,
    ModelError,
    TargetError,
    UsageError,
    UserError,
    VerifyError,
    did_you_mean,
    first_line,
)


def test_a_message_says_what_where_and_what_to_do() -> None:
    assert str(ModelError("no graph", where="m.onnx", help="export again")) == "error: no graph\n  at: m.onnx\n  help: export again"
    assert str(UsageError("no model")) == "error: no model"


def test_exit_codes() -> None:
    assert UsageError("x").exit_code == 2
    assert {kind("x").exit_code for kind in (ModelError, TargetError, BundleError, VerifyError)} == {1}


def test_infeasible_names_the_numbers_and_every_relaxation() -> None:
    error = Infeasible("memory dram", 3e6, 2e6, ["--budget 3MB", "--shape seq=16"])
    assert str(error) == "error: memory dram: 3e+06 needed, 2e+06 allowed\n  help: --budget 3MB; or --shape seq=16"
    facts = error.as_json()
    assert json.loads(json.dumps(facts)) == {
        "kind": "infeasible", "exit_code": 1, "message": error.message, "where": "", "help": error.help,
        "resource": "memory dram", "demand": 3e6, "limit": 2e6, "relaxations": ["--budget 3MB", "--shape seq=16"],
    }  # fmt: skip


def test_errors_cross_process_boundaries() -> None:
    for error in (ModelError("m", where="w", help="h"), Infeasible("r", 1, 2, ["l"], where="w")):
        copy: UserError = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == str(error) and copy.as_json() == error.as_json()


def test_did_you_mean() -> None:
    assert did_you_mean("bach", ["seq", "batch"]) == "did you mean 'batch'?"
    assert did_you_mean("qqq", ["seq", "batch"]) == "known: batch, seq"
    assert did_you_mean("x", []) == ""
    assert did_you_mean("zz", [f"n{i}" for i in range(30)]).endswith(", …")


def test_first_line() -> None:
    assert first_line(ValueError("\n  one\ntwo")) == "one" and first_line(ValueError()) == "ValueError"
