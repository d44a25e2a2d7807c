"""An agent that fills the disk on which oya works."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.liars import (
    LANDED,
    Corpus,
    Liar,
    Outcome,
    all_hold,
    code,
    honest,
    played,
    row_holds,
    sh,
    waiting,
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

FULL = ("No space left on device", "Out of diskspace")
"""As programs say it, and as git does."""

CORPUS = Corpus(
    # Whom the full disk meets is a matter of time; nobody is to lose all attempts by it.
    max_attempts=9,
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        honest("honest-3"),
        Liar(
            "fills-the-disk",
            "writes until there is no room for anybody; there is some again later",
            LANDED,
            # Whoever writes first meets the full disk: the agent, or oya's git.
            events=("attempt_failed",),
            implementer=([sh("cat /dev/zero > fill.bin"), code("fills-the-disk")],),
            later={"implementer": ([sh("rm -f fill.bin"), code("fills-the-disk")],)},
        ),
        Liar(
            "fills-it-for-ever",
            "files no larger than work may be, on a disk that stays as it is",
            "implementation failed",
            implementer=(
                [
                    code("fills-it-for-ever"),
                    sh(
                        "mkdir fill; for n in $(seq 40); do "
                        "head -c 4000000 /dev/urandom > fill/$n || break; done"
                    ),
                ],
            ),
            pending="a folder of which no snapshot can be taken, for want of room, stays; attempts "
            "at all beads end as `internal` then, and the swarm never does",
        ),
    ),
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """As everywhere, with a small disk for oya's folders, which a person enlarges."""
    folder = tmp_path_factory.mktemp("liars")
    cache = folder / "cache"
    cache.mkdir()
    mount("-t", "tmpfs", "-o", "size=24m", "none", at=cache)

    def enlarge(user: User, root: Path) -> None:
        deadline = time.monotonic() + 100
        while not any(words in user.oya(root, "events", "--format", "json").out for words in FULL):
            assert time.monotonic() < deadline, "the disk was never full"
        mount("-o", "remount,size=400m", at=cache)

    try:
        with played(folder, CORPUS, enlarge) as found:
            yield found
    finally:
        subprocess.run(["umount", "--lazy", str(cache)], check=True)


def mount(*words: str, at: Path) -> None:
    subprocess.run(["mount", *words, str(at)], check=True)


@pytest.mark.skipif(not MAY_MOUNT, reason="may not mount: CAP_SYS_ADMIN is missing")
@pytest.mark.parametrize("row", CORPUS.playing, ids=lambda row: row.name)
def test_a_full_disk_costs_nobody_their_work(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


@pytest.mark.skipif(not MAY_MOUNT, reason="may not mount: CAP_SYS_ADMIN is missing")
def test_nothing_of_that_file_is_left(
    outcome: Outcome, record_property: Callable[[str, str], None]
) -> None:
    all_hold(outcome, defects=(*FULL, "GitError", "OSError"))
    record_property("said", waiting(CORPUS))
