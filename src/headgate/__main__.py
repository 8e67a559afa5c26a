"""The program `headgate`, and `python -m headgate`: the command line, quiet at a Ctrl-C from its first import on."""

import os
import signal
import sys

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    # A Kubernetes Service called `headgate` puts its own address into every pod of its namespace under this name.
    if os.environ.get("HEADGATE_PORT", "").startswith("tcp://"):
        del os.environ["HEADGATE_PORT"]
    try:
        from headgate.surfaces.cli.main import app  # noqa: PLC0415  its imports are what is guarded

        app(prog_name="headgate")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # All is done: another Ctrl-C ends what Python still tidies up, without a word.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
