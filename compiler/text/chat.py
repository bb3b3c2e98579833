"""A model's chat template: a conversation as the text that the model was trained on.

Templates are Jinja programs that come with a model. One is rendered in Jinja's sandbox, in a process of its own that may take only so much
time and memory (chat_child.py): a sandbox keeps it from files and from Python, but not from looping for ever.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError, UserError
from ..own_python import PYTHON
from ..quantities import size
from .chat_child import MEMORY, SECONDS
from .json_files import MOST, read_text
from .tokenizer import Tokenizer

GRACE = 5.0
"""Seconds that the process may take besides: to start, and where others compute."""
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def template_of(tokenizer: Tokenizer) -> str:
    """From chat_template.jinja beside the tokenizer, else its tokenizer_config.json. Raises UsageError where there is none."""
    file = tokenizer.file.with_name("chat_template.jinja")
    text = read_text(file, MOST)
    if text is not None:
        return text
    given = tokenizer.settings.get("chat_template")
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get("default")
    if not isinstance(given, str):
        what = f"there is no chat template: neither {file.name} nor a chat_template in tokenizer_config.json"
        raise UsageError(what, where=str(tokenizer.file.parent), help="leave out --chat, or put the model's tokenizer files together")
    return given


def chat_text(tokenizer: Tokenizer, messages: Sequence[Mapping[str, Any]]) -> str:
    """The conversation as text, up to where the model's answer begins. Raises UserError for a template that fails, or takes too long."""
    variables = {name: tokenizer.special(name) for name in SPECIAL} | {"messages": list(messages), "add_generation_prompt": True}
    return rendered(template_of(tokenizer), variables, str(tokenizer.file.parent))


def rendered(template: str, variables: Mapping[str, Any], where: str) -> str:
    """Raises UserError where it fails, or takes more time or memory than it may."""
    job = json.dumps({"template": template, "variables": dict(variables)}).encode()
    command = (*PYTHON, "-m", "autoglmc.compiler.text.chat_child")
    try:
        done = subprocess.run(command, input=job, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS + GRACE)
        answer = json.loads(done.stdout) if done.returncode == 0 else {"problem": f"it took more than {SECONDS:g} s or {size(MEMORY)}"}
    except subprocess.TimeoutExpired:
        answer = {"problem": f"it took more than {SECONDS:g} s"}
    if "text" in answer:
        return str(answer["text"])
    raise UserError(f"the chat template fails: {answer['problem']}", where=where, help="without --chat the prompt is given as it is")
