"""Hints that can be typed as they stand: `vigil score` where the shell knows `vigil`, else the way to its file."""

import logging
import re
import shlex
import shutil
import sys
from pathlib import Path

from vigil.cli.lazy_group import SUMMARIES

COMMAND = re.compile(rf"(?<![\w./-])vigil(?= (?:{'|'.join(SUMMARIES)})\b)")


def command() -> str:
    """How this very Vigil is called in the shell that it was called from."""
    own = Path(sys.executable).with_name("vigil")
    known = shutil.which("vigil")
    if known is not None and own.exists() and Path(known).samefile(own):
        return "vigil"
    if not own.exists():
        return f"{shlex.quote(sys.executable)} -m vigil"
    here = Path.cwd()
    return shlex.quote(str(own.relative_to(here) if own.is_relative_to(here) else own))


def runnable(text: str) -> str:
    """The text with each `vigil COMMAND` in it as it can be typed here."""
    if COMMAND.search(text) is None:
        return text
    called = command()
    return COMMAND.sub(lambda _: called, text)


class RunnableHints(logging.Filter):
    """Does the same to what is logged; never takes anything out of the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the message in place."""
        message = record.getMessage()
        if (told := runnable(message)) != message:
            record.msg, record.args = told, ()
        return True
