"""Real tasks whose accuracy the precision benchmark computes, and what peers make of their models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .filetypes import filetypes
from .news import news
from .ocr import ocr
from .speech import speech
from .task import Sample, Task

TASKS: Mapping[str, Callable[[], Task]] = {"news": news, "ocr": ocr, "filetypes": filetypes, "speech": speech}

__all__ = ["TASKS", "Sample", "Task"]
