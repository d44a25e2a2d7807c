"""The end of a process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this process with that exit code, once what was written is flushed.

    The interpreter's own way to end is left out: a thread of the embedded engine may be still
    on its way back from its last call, and aborts the process (exit 134) when it finds the
    interpreter half gone.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)
