"""Chat templates are rendered as transformers does it, and a hostile one can take neither time nor memory nor files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_tokenizers import save_tokenizer

from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.text import chat, chat_child
from autoglmc.compiler.text.tokenizer import Tokenizer

HELLO = [{"role": "user", "content": "Hello"}]


def test_a_conversation_is_written_up_to_the_answer(tmp_path: Path) -> None:
    file = save_tokenizer(tmp_path)
    assert chat.chat_text(Tokenizer(file), HELLO) == "<|user|>Hello<|assistant|>"
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0].content }}\n")
    assert chat.chat_text(Tokenizer(file), HELLO) == "<s>Hello"


def test_one_template_of_several_is_the_usual_one(tmp_path: Path) -> None:
    settings = {"chat_template": [{"name": "tools", "template": "no"}, {"name": "default", "template": "yes"}]}
    assert chat.chat_text(Tokenizer(save_tokenizer(tmp_path, settings=settings)), HELLO) == "yes"
    with pytest.raises(UsageError, match="there is no chat template"):
        chat.chat_text(Tokenizer(save_tokenizer(tmp_path, settings={})), HELLO)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for m in messages %}\n  {{- m.role }}\n{% endfor %}", "user\n"),
        ("{% for k in range(9) %}{% if k > 2 %}{% break %}{% endif %}{{ k }}{% endfor %}", "012"),
        ('{{ {"b": "<é>", "a": 1} | tojson }}', '{"b": "<é>", "a": 1}'),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "Hello"),
        ("{{ strftime_now('%Y') | length }}", "4"),
    ],
)
def test_what_templates_use_is_there(template: str, text: str) -> None:
    assert chat_child.answer(template, {"messages": HELLO}) == {"text": text}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% for m in %}", "line 1"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe|not safely"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 999 }}{% endfor %}{% endfor %}", "more than 1,048,576 characters"),
        ("{{ nothing.at.all }}", "undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
    ],
)
def test_what_a_template_may_not_is_said(template: str, said: str) -> None:
    import re

    assert re.search(said, chat_child.answer(template, {"messages": list(HELLO)})["problem"])


def test_time_and_memory_end_in_a_process_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    monkeypatch.setattr(chat, "SECONDS", 0.5)
    monkeypatch.setattr(chat, "GRACE", 0.5)
    with pytest.raises(UserError, match=r"the chat template fails: it took more than 0\.5 s"):
        chat.rendered(endless, {}, "model")
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"512\.0 MiB"):
        chat.rendered("{{ ('a' * 2000000000) | length }}", {}, "model")


def test_text_of_users_is_never_a_template() -> None:
    content = "{{ 7 * 7 }}"
    assert json.loads(json.dumps(chat.rendered("{{ m }}", {"m": content}, "model"))) == content
