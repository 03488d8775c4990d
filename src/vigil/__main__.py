"""`python -m vigil` is `vigil`; Ctrl-C while it is still loading is no traceback either."""

import sys

INTERRUPTED = 1
"""The exit code of a job that Ctrl-C ended, as of any that was not done."""


def run() -> int:
    """Loads the command line and runs it; returns its exit code."""
    try:
        from vigil.cli import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("vigil: stopped\n")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
