"""The checker's table of rules says what the rules say."""

from __future__ import annotations

from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.passes.library import facts


def test_the_table_is_what_the_rules_say() -> None:
    assert rule_facts() == facts(), "run: python tools/generate_rule_facts.py"
