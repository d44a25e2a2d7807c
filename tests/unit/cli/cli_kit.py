"""What tests of typed commands share."""

from __future__ import annotations

from collections.abc import Callable

Oya = Callable[..., tuple[int, str, str]]
"""Words of a command → its exit code, stdout and stderr."""
