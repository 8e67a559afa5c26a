"""The demo's gateway: `headgate`, which ends when its standard input does; so it outlives no demo, not a killed one."""

import os
import signal
import threading


def main() -> None:
    """Run the command line with the arguments of this process."""
    threading.Thread(target=_follow, daemon=True, name="leash").start()
    from headgate.surfaces.cli.main import app  # noqa: PLC0415  a demo may be killed during these imports

    app(prog_name="headgate")


def _follow() -> None:
    # Not sys.stdin, whose lock an ending interpreter waits for.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
