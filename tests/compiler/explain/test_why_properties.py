"""Random models on random machines: every operator that is elsewhere is in exactly one group, and the report can be made."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import onnx
from breadth import examples
from hypothesis import given, settings
from random_graphs import models, targets
from small_models import save

from autoglmc.compiler.explain.as_json import as_json
from autoglmc.compiler.explain.explain_model import explain_model
from autoglmc.compiler.report.why_screen.print_why import print_why
from autoglmc.targets.model import Target


@settings(max_examples=examples(usual=12, wide=25))
@given(model=models(), target=targets())
def test_everything_is_explained_once(model: onnx.ModelProto, target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder))
        told = explain_model(path, target, tries=2)
        plan = told.plan
        device = [d.name for d in target.devices].index(told.device)
        assert sorted(k for row in told.rows for k in row.group.numbers) == [k for k, place in enumerate(plan.places) if place != device]
        for row in told.rows:
            assert row.group.reason
            if row.tried is not None and row.tried.planned:
                assert row.tried.gain == 0 or (row.tried.after is not None and row.tried.after < (plan.total or 0))
            if row.group.extra is not None and plan.placement is not None and plan.placement.solution.proven:
                assert row.group.extra.total >= -1e-4 * (plan.total or 0)
        assert json.loads(json.dumps(as_json(told)))
        print_why(as_json(told))
        for node in plan.nodes[:2]:
            one = explain_model(path, target, word=node.name or node.writes[0])
            assert sum(len(subject.alike.numbers) for subject in one.subjects) >= 1
            for subject in one.subjects:
                assert [verdict.here for verdict in subject.alike.verdicts].count(True) == (plan.total is not None)
            print_why(as_json(one))
