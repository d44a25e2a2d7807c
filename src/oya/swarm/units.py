"""Durations and sizes as they are written in `.oya/swarm.toml`: `"30m"`, `"10MB"`."""

from __future__ import annotations

import re

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_LONGEST = 366 * 86400.0
_LARGEST = 10**15


def duration(text: object) -> float:
    """Seconds of `"30m"`; units ms, s, m, h, d. ValueError, in words, for anything else."""
    value = _quantity(text, _SECONDS)
    if value is None or value > _LONGEST:
        raise ValueError('a duration such as "90s", "30m" or "2h" (units ms, s, m, h, d)')
    return value


def size(text: object) -> int:
    """Bytes of `"10MB"`; units B, kB, MB, GB, powers of 1000. ValueError, in words, otherwise."""
    value = _quantity(text, _BYTES)
    if value is None or value > _LARGEST:
        raise ValueError('a size such as "500kB", "10MB" or "1GB" (units B, kB, MB, GB)')
    return int(value)


def duration_text(seconds: float) -> str:
    """The reverse of `duration`, in the largest unit that gives a whole number."""
    for unit, worth in _SECONDS.items():
        if seconds and (seconds / worth).is_integer():
            return f"{int(seconds / worth)}{unit}"
    return f"{seconds:g}s"


def size_text(count: int) -> str:
    """The reverse of `size`, in the largest unit that gives a whole number."""
    for unit, worth in _BYTES.items():
        if count and count % worth == 0:
            return f"{count // worth}{unit}"
    return f"{count}B"


def _quantity(text: object, units: dict[str, float] | dict[str, int]) -> float | None:
    match = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        return None
    return float(match[1]) * units[match[2]]
