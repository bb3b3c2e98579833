"""`python -m autoglmc.compiler.what_if.worker`: a process that makes rows, one after the other, until nobody asks any more."""

from __future__ import annotations

import os
import signal

from ..frames import Closed, receive, send
from ..parent import end_with_parent
from .task import make_row


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    end_with_parent()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    try:
        while True:
            send(answers, make_row(receive(0)))
    except Closed:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
