"""Durations and sizes, there and back."""

from __future__ import annotations

import pytest

from oya.swarm.units import duration, duration_text, size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("90s", 90), ("30m", 1800), ("2h", 7200), ("30d", 2592000), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds
    assert duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("1kB", 1000), ("10MB", 10**7), ("2GB", 2 * 10**9), ("0.5MB", 500_000)]
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count
    assert size(size_text(count)) == count


@pytest.mark.parametrize("text", ["", "3", "m", "-3m", "3 weeks", "3M", "1e3s", 3, None, "999999d"])
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        duration(text)


@pytest.mark.parametrize("text", ["", "10", "10mb", "10 KiB", 10, None, "-1kB"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        size(text)
