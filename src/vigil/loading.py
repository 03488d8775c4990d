"""Loading without the garbage collector, which looks for cycles in modules that stay anyway.

While it looks, everything waits: on two slow cores it takes a fifth of each start, and later 0.2 to 0.4 s whenever it
goes through all that web pages have loaded.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_frozen() -> Iterator[None]:
    """While the block imports and builds what stays; what is there at its end is never looked through again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
