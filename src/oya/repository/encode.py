"""Bead ids are data: in refs, paths and trailers they stand percent-encoded."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_LONGEST = 160  # bytes; a file name takes 255, and git and oya add to it
_KEPT = re.compile(rb"[A-Za-z0-9_-]")
_INNER_DOT = re.compile(rb"(?<=[^.])\.(?=[^.])")
_EMPTY = "%"


@lru_cache(maxsize=10_000)
def encode(bead: str) -> str:
    """The id as one component of a ref or a path: `[A-Za-z0-9_-]`, `%XX`, single inner dots.

    Different ids give different names, except that what is longer than 160 bytes is
    cut and marked with a hash of the whole. Ids that differ only in case give names that do.
    """
    data = bead.encode("utf-8", "surrogatepass")
    dots = {match.start() for match in _INNER_DOT.finditer(data)}
    if data.endswith(b".lock"):
        dots.discard(len(data) - len(b".lock"))
    name = "".join(
        chr(byte) if _KEPT.match(data, at) or at in dots else f"%{byte:02X}"
        for at, byte in enumerate(data)
    )
    if len(name) > _LONGEST:
        cut = re.sub(r"%[0-9A-F]?$", "", name[:_LONGEST])
        return _marked(cut.rstrip("."), bead)
    return name or _EMPTY


def decode(name: str) -> str:
    """The id that `encode` gave this name for; the name itself where a hash took its place."""
    if name == _EMPTY:
        return ""
    if "%h" in name:
        return name
    return unquote_to_bytes(name).decode("utf-8", "surrogatepass")


def _marked(name: str, bead: str) -> str:
    """`%h` is no percent code, so that this is no other id's name."""
    digest = hashlib.sha256(bead.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name}%h{digest[:10]}"
