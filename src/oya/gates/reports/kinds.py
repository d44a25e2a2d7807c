"""The table of all kinds of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oya.gates.reports import cargo, go_json, jest, junit, nextest, node, surefire
from oya.gates.reports.kind import Kind

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        junit.KIND,
        go_json.KIND,
        cargo.KIND,
        nextest.KIND,
        node.KIND,
        jest.JEST,
        jest.VITEST,
        surefire.KIND,
    )
}
"""By the word for it in the configuration. `none` is not among them: the exit code is all."""
