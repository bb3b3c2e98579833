"""`python -m autoglmc.compiler.devices.ethos_u.vela_child BYTES ARGUMENT…`: Vela with these arguments, in at most so much memory.

A process of its own, which a file that Vela does not understand may crash: it ends with a signal then, and not with a message."""

from __future__ import annotations

import sys

from ...parent import end_with_parent


def main(arguments: list[str]) -> int:
    """The exit code of Vela."""
    import resource

    from ethosu.vela import vela

    end_with_parent()
    most = int(arguments[0])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return int(vela.main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
