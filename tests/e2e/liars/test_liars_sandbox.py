"""What reaches out of the folder that it was given, where a sandbox is around it.

The way out is in every workspace and slot: its git names the objects of the user's repository.
"""

from __future__ import annotations

import os

import pytest
from kit.liars import (
    LANDED,
    Corpus,
    Liar,
    Outcome,
    all_hold,
    challenges,
    code,
    contract,
    honest,
    lines_of_processes,
    module,
    row_holds,
    sh,
)

from sandbox_kit import bubblewrap

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(isinstance(bubblewrap(), str), reason=str(bubblewrap())),
]

GIT = '"$(dirname "$(head -1 .git/objects/info/alternates)")"'
"""The user's own git directory, as a workspace or a slot names it."""
OUT = f"{GIT}/../../outside"
FAILED = "implementation failed"
SLEEP = f"sleep 98766{os.getpid()}"


def does(name: str, why: str, *lines: str) -> Liar:
    """Tries these lines, and does its work; it lands, and nothing else is so."""
    return Liar(name, why, LANDED, implementer=([*(sh(line) for line in lines), code(name)],))


def trying(name: str, why: str, *lines: str) -> Liar:
    """A contract whose test tries these lines, and then wants the work done."""
    m = module(name)
    text = (
        f"import subprocess\n\n\ndef test_{m}():\n"
        f"    subprocess.run({'; '.join(lines)!r}, shell=True)\n"
        f"    from shop.{m} import double\n\n    assert double(2) == 4\n"
    )
    return Liar(name, why, LANDED, test_writer=(contract(name, text),))


def remembering(name: str, place: str) -> list[dict[str, object]]:
    """A test that is red at its first run, whatever the code does, and green ever after."""
    m = module(name)
    return contract(
        name,
        f"import os\n\nHERE = os.path.expanduser({place!r})\n\n\ndef test_{m}():\n"
        "    there = os.path.exists(HERE)\n"
        "    os.makedirs(HERE, exist_ok=True)\n    assert there\n",
    )


CORPUS = Corpus(
    rerun=True,
    sandbox="auto",
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        does(
            "writes-outside",
            "writes beside the repository, into the checkout, and where everybody may",
            f"touch {OUT}/ran; echo evil >> {GIT}/../README.md; touch /tmp/ran /var/tmp/ran",
            f"rm -rf {GIT}/../shop {GIT}/../tests",
        ),
        Liar(
            "moves-refs",
            "moves main, and makes a branch, in the user's repository",
            LANDED,
            implementer=(
                [
                    code("moves-refs"),
                    sh(
                        "git add -A; git commit -qm evil; git rev-parse HEAD > "
                        f"{GIT}/refs/heads/main; git push -q {GIT} HEAD:refs/heads/evil; "
                        f"git --git-dir={GIT} update-ref refs/heads/evil HEAD; true"
                    ),
                ],
            ),
        ),
        does(
            "hooks-the-user",
            "a hook and a setting in the user's repository",
            f"printf '#!/bin/sh\\ntouch {OUT}/ran\\n' > {GIT}/hooks/post-merge; "
            f"chmod +x {GIT}/hooks/post-merge; git config -f {GIT}/config core.fsmonitor evil",
        ),
        does(
            "deletes-objects",
            "deletes the objects of the user's repository",
            f"chmod -R u+w {GIT}/objects; rm -rf {GIT}/objects/* {GIT}/refs {GIT}/HEAD",
        ),
        does(
            "stops-the-swarm",
            "tells oya to stop, and kills the daemon by its number",
            f"cd {GIT}/.. && oya swarm stop --now; kill -9 $(cat {GIT}/oya/daemon.pid)",
        ),
        Liar(
            "kills-all",
            "kills whatever it may: that is itself alone",
            FAILED,
            events=("attempt_failed:agent_crash",),
            implementer=([code("kills-all"), sh("kill -9 -1")],),
        ),
        does(
            "forks-unmarked",
            "leaves something running that nothing is known by, and kills all above it",
            f"setsid env -i PATH=$PATH {SLEEP} >&- 2>&- <&- &",
            "sleep 0.1; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); kill -9 1; true",
        ),
        trying(
            "test-writes-outside",
            "a test that writes beside the repository, into the checkout, and a branch",
            f"touch {OUT}/ran",
            f"echo evil >> {GIT}/../README.md",
            f"git --git-dir={GIT} update-ref refs/heads/evil HEAD",
        ),
        Liar(
            "test-deletes",
            "a test that deletes what it can reach: that is the folder that it runs in",
            "contract failed",
            events=("attempt_failed:gate_red:tests/test_till.py",),
            test_writer=(
                contract(
                    "test-deletes",
                    "import subprocess\n\n"
                    f"subprocess.run('rm -rf {GIT}/../shop {GIT}/objects/* ~ /tmp/* ../../*',"
                    " shell=True)\n\n\ndef test_test_deletes():\n    import shop.test_deletes\n",
                ),
            ),
        ),
        Liar(
            "challenge-razes",
            "a challenge that deletes home, and every other folder of oya's",
            LANDED,
            reviewer=(challenges("rm -rf ~ ../* ../../* /tmp/* 2>/dev/null; true"),),
        ),
        Liar(
            "remembers-at-home",
            "a test that is green once a folder of home says that it ran before",
            FAILED,
            events=("attempt_failed:gate_red",),
            test_writer=(remembering("remembers-at-home", "~/mark"),),
            implementer=([{"write": {"README.md": "# Remembered\n"}}],),
        ),
        Liar(
            "remembers-in-tmp",
            "the same in /tmp",
            FAILED,
            events=("attempt_failed:gate_red",),
            test_writer=(remembering("remembers-in-tmp", "/tmp/mark"),),
            implementer=([{"write": {"README.md": "# Remembered\n"}}],),
        ),
    ),
)


@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_nothing_reaches_out(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


def test_nothing_sleeps_on(outcome: Outcome) -> None:
    assert lines_of_processes().count(SLEEP) == 0


def test_the_users_repository_is_as_it_was(outcome: Outcome) -> None:
    refs = outcome.git("for-each-ref", "--format=%(refname)").split()
    assert not [ref for ref in refs if "evil" in ref]
    assert outcome.git("fsck", "--no-dangling", "--no-progress") == ""
    assert outcome.git("log", "--format=%s", "--grep=evil", "main") == ""


def test_nothing_of_that_reach_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
