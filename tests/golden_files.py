"""Golden files: texts that Vigil writes, kept under tests/golden, so that a change of them is seen in a review.

After a wanted change, renew them: `VIGIL_RENEW_GOLDEN=1 pytest tests/unit/test_golden.py tests/unit/cli/test_help.py`.
"""

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden"
RENEW = "VIGIL_RENEW_GOLDEN"


def check_golden(name: str, text: str) -> None:
    """Asserts that tests/golden/NAME holds exactly this text, or writes it if $VIGIL_RENEW_GOLDEN is set."""
    path = GOLDEN / name
    if os.environ.get(RENEW):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    kept = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert text == kept, f"tests/golden/{name} differs; if the change is wanted, run this test with {RENEW}=1"
