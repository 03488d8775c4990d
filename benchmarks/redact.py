"""How much longer `vigil.errors` takes for a text that is twice as long, and means harm: 2 where each is read once.

python benchmarks/redact.py [--characters 500000] [--rounds 5]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from vigil.errors import redact

HARMFUL = {"letters": "x", "passwords": "pass", "settings": "a=", "schemes": "://", "users": "@", "paths": "/1'"}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    for name, piece in HARMFUL.items():
        once = piece * (options.characters // len(piece))
        ratios = [_ratio(once) for _ in range(options.rounds)]
        print(f"{name}: {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] times for twice as much")
    return 0


def _ratio(once: str) -> float:
    """One interleaved pair: the time for twice the text over that for the text."""
    return _seconds(once * 2) / _seconds(once)


def _seconds(text: str) -> float:
    began_s = time.perf_counter()
    redact(f"x://h/{text}")
    return time.perf_counter() - began_s


if __name__ == "__main__":
    sys.exit(main())
