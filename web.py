"""The web pages: chat, analysis of videos and cameras, the watch room and the review of events.

python web.py                                  then http://127.0.0.1:7860 in a browser
python web.py --demo                           with the tiny model, when nothing is served yet
python web.py --help
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> int:
    """Opens the pages; with Vigil's own Python where this one lacks the packages."""
    if find_spec("gradio") is None or find_spec("vigil") is None:
        if not PYTHON.is_file() or Path(sys.prefix) == PYTHON.parents[1]:
            print("web.py: the packages are not there; make them with: bash scripts/setup.sh core", file=sys.stderr)  # noqa: T201
            return 1
        os.execv(PYTHON, [str(PYTHON), __file__, *sys.argv[1:]])
    # What visitors send and what is made of it, by whatever library, is for this user only.
    os.umask(0o077)
    from vigil.environments import gc_frozen

    with gc_frozen():
        from app.server import main as open_door

    return open_door()


if __name__ == "__main__":
    sys.exit(main())
