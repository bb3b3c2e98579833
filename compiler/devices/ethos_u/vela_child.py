"""`python -m autoglmc.compiler.devices.ethos_u.vela_child BYTES ARGUMENT…`: Vela with these arguments, in at most so much memory.

A process of its own, which a file that Vela does not understand may crash: it ends with a signal then, and not with a message. Where Vela
refuses the file, the exit code is REFUSED; any other but 0 is a crash as well, an exception of Vela's own code among them."""

from __future__ import annotations

import sys

from ...parent import end_with_parent

REFUSED = 65
REFUSAL = "Compilation failed: "
"""What the RuntimeError begins with by which Vela's core says so."""


def main(arguments: list[str]) -> int:
    """0 or REFUSED."""
    import resource

    from ethosu.vela import errors, vela

    end_with_parent()
    most = int(arguments[0])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        return int(vela.main(arguments[1:]) or 0)
    except errors.VelaError as refusal:
        sys.stderr.write(f"{refusal.error_msg}\n")
    except RuntimeError as refusal:
        if not str(refusal).startswith(REFUSAL):
            raise
        sys.stderr.write(f"{refusal}\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
