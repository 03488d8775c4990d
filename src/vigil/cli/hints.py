"""Makes commands in messages work as printed: `vigil score` if the shell finds `vigil`, else the path of its file."""

import logging
import re
import shlex
import shutil
import sys
from pathlib import Path

from vigil.cli.lazy_group import SUMMARIES

COMMAND = re.compile(rf"(?<![\w./-])vigil(?= (?:{'|'.join(SUMMARIES)})\b)")


def command() -> str:
    """How this Vigil was called from the shell."""
    own = Path(sys.executable).with_name("vigil")
    installed = shutil.which("vigil")
    if installed is not None and own.exists() and Path(installed).samefile(own):
        return "vigil"
    if not own.exists():
        return f"{shlex.quote(sys.executable)} -m vigil"
    here = Path.cwd()
    return shlex.quote(str(own.relative_to(here) if own.is_relative_to(here) else own))


def runnable(text: str) -> str:
    """The text with each `vigil COMMAND` replaced by what works here."""
    if COMMAND.search(text) is None:
        return text
    called = command()
    return COMMAND.sub(lambda _: called, text)


class RunnableHints(logging.Filter):
    """A log filter that rewrites commands in messages; it never drops a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the message in place."""
        message = record.getMessage()
        if (rewritten := runnable(message)) != message:
            record.msg, record.args = rewritten, ()
        return True
