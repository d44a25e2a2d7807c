"""One file, one swarm: it runs when the first row of the file asks what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit.liars import Outcome, played


@pytest.fixture(scope="module")
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    with played(tmp_path_factory.mktemp("liars"), request.module.CORPUS) as found:
        yield found
