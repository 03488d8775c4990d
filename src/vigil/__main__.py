"""`python -m vigil` is `vigil`; Ctrl-C while it is still loading is no traceback either."""

import sys

INTERRUPTED = 130
"""What shells call the end by Ctrl-C."""


def run() -> int:
    """Loads the command line and runs it; returns its exit code."""
    try:
        from vigil.cli import main

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
