"""An agent that fills the disk on which oya works."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kit.liars import (
    LANDED,
    Corpus,
    Liar,
    Outcome,
    all_hold,
    code,
    code_of,
    honest,
    played,
    row_holds,
    sh,
)
from kit.user import User

pytestmark = pytest.mark.timeout(400)

CAP_SYS_ADMIN = 21
MAY_MOUNT = bool(
    int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    >> CAP_SYS_ADMIN
    & 1
)
"""Whether this process may mount: root, outside most containers."""

FILL_ONCE = (
    "rm -f fill; until test -e $HOME/../filled; do cat /dev/zero > fill; "
    "if test $(stat -c %s fill) -lt 5000000; then rm fill; sleep 0.2; "
    "else touch $HOME/../filled; fi; done"
)
"""What is written to a disk that others have filled already does not count."""

CODE = "def double(n):\n    return 2 * n\n"
FILL_FOR_EVER = (
    "mkdir fill; for n in $(seq 40); do head -c 4000000 /dev/urandom > fill/$n || break; done; "
    f"test $(du -sk fill | cut -f 1) -lt 35000 || mv draft {code_of('fills-it-for-ever')}"
)
"""Where others have filled it, there is no work either, which could land."""

CORPUS = Corpus(
    max_attempts=3,
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        honest("honest-3"),
        honest("honest-4"),
        Liar(
            "fills-the-disk",
            "writes until there is no room for anybody, and knows better at the next attempt",
            LANDED,
            events=("attempt_failed:gate_red:filled the disk",),
            implementer=([sh(FILL_ONCE), code("fills-the-disk")],),
        ),
        Liar(
            "fills-it-for-ever",
            "does so at each attempt, with files no larger than work may be, over half of the disk",
            "implementation failed",
            events=("attempt_failed:gate_red:filled the disk",),
            implementer=([{"write": {"draft": CODE}}, sh(FILL_FOR_EVER)],),
        ),
        Liar(
            "fills-it-in-its-gate",
            "the code does so where oya judges it",
            "implementation failed",
            events=("attempt_failed:gate_red",),
            implementer=(
                [code("fills-it-in-its-gate", "open('fill', 'wb').write(bytes(160_000_000))")],
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """As everywhere, with a small disk for oya's folders, which the user fills for a while."""
    folder = tmp_path_factory.mktemp("liars")
    cache = folder / "cache"
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(cache)], check=True)

    def fill(user: User, root: Path) -> None:
        wait_for(user, root, '"claimed"')
        with (cache / "films").open("wb") as film, suppress(OSError):
            while film.write(bytes(100_000)):
                film.flush()
        wait_for(user, root, '"host_pressure"')
        (cache / "films").unlink()

    try:
        with played(folder, CORPUS, fill) as found:
            yield found
    finally:
        subprocess.run(["umount", "--lazy", str(cache)], check=True)


def wait_for(user: User, root: Path, words: str) -> None:
    """Return when that is in the event log."""
    deadline = time.monotonic() + 100
    while words not in user.oya(root, "events", "--format", "json").out:
        assert time.monotonic() < deadline, f"no {words}"


@pytest.mark.skipif(not MAY_MOUNT, reason="may not mount: CAP_SYS_ADMIN is missing")
@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_a_full_disk_costs_nobody_else_their_work(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


@pytest.mark.skipif(not MAY_MOUNT, reason="may not mount: CAP_SYS_ADMIN is missing")
@pytest.mark.parametrize("row", CORPUS.rows[:4], ids=lambda row: row.name)
def test_who_has_not_filled_it_has_used_no_attempt(outcome: Outcome, row: Liar) -> None:
    failed = {event["class"] for event in outcome.told(row.name, "attempt_failed")}
    assert failed <= {"host_pressure"}, outcome.story(row.name)


@pytest.mark.skipif(not MAY_MOUNT, reason="may not mount: CAP_SYS_ADMIN is missing")
def test_nothing_of_those_files_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
