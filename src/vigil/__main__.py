"""`python -m vigil` is `vigil`; Ctrl-C while it is still loading is no traceback either."""

import sys

from vigil.errors import JobError


def run() -> int:
    """Loads the command line and runs it; returns its exit code."""
    try:
        from vigil.cli.main import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("vigil: stopped\n")
        return JobError.exit_code


if __name__ == "__main__":
    sys.exit(run())
