"""The process that renders a chat template: a JSON object on stdin, `text` or `problem` on stdout."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

from ..parent import end_with_parent
from ..quantities import size

SECONDS, MEMORY, CHARACTERS = 5.0, 512 << 20, 1 << 20
"""What a template may take, and write."""


def main() -> None:
    end_with_parent()
    _limit()
    job = json.load(sys.stdin)
    json.dump(answer(job["template"], job["variables"]), sys.stdout)


def _limit() -> None:
    """The system keeps them; elsewhere than on Unix the parent keeps the time alone."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def answer(template: str, variables: dict[str, Any]) -> dict[str, str]:
    """`text`, or `problem`: why there is none."""
    import jinja2

    try:
        parts, length = [], 0
        for part in _environment().from_string(template).generate(variables):
            parts.append(part)
            length += len(part)
            if length > CHARACTERS:
                return {"problem": f"it writes more than {CHARACTERS:,} characters"}
        return {"text": "".join(parts)}
    except jinja2.TemplateSyntaxError as problem:
        return {"problem": f"line {problem.lineno}: {problem.message}"}
    except MemoryError:
        return {"problem": f"it took more than {size(MEMORY)}"}
    except RecursionError:
        return {"problem": "it is nested too deeply"}
    except Exception as problem:  # whatever a template does is its own
        return {"problem": str(problem)[:500] or type(problem).__name__}


def _environment() -> Any:
    """As transformers has it, whose templates these are (utils/chat_template_utils.py): blocks without their line breaks, `break` and
    `continue`, raise_exception, strftime_now and tojson without escapes of HTML."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    made.add_extension(_generation())
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made


def _generation() -> Any:
    """`{% generation %}…{% endgeneration %}`, by which training knows the assistant's words: what stands inside."""
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012, as the base class has it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Generation


def _raise(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
