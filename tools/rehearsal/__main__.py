"""Runs the rehearsal from the command line: `python -m tools.rehearsal [--size 2b|4b] [--keep] [--out DIR]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.rehearsal.shapes import SHAPES
from tools.rehearsal.walk import RehearsalSettings, look, rehearse
from tools.stages import exit_code_of


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the rehearsal; returns its exit code."""
    given = vars(_parser().parse_args(argv))
    only_look = given.pop("only_look")
    settings = RehearsalSettings(shape=SHAPES[given.pop("size")], **given)
    return exit_code_of("rehearse", lambda: look(settings) if only_look else rehearse(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/rehearse.sh", description="Run the README's commands with a full-size model of random weights."
    )
    parser.add_argument("--size", choices=sorted(SHAPES), default="2b", help="size of Qwen3-VL (2b)")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("rehearsal-out"), help="output folder (rehearsal-out)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the models, the dataset and the adapter")
    parser.add_argument("--port", type=int, default=0, help="port of the server (a free one)")
    parser.add_argument("--only-look", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
