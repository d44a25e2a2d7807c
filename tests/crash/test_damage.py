"""The engine's files are harmed after a kill: refused, with what lay there kept and a way back,
or opened with all that was acknowledged. Never silently less."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from crash_checker import check
from crash_kit import Ground, until

Harm = Callable[[Path], None]
ACCEPTED = ("contract_accepted", "implementation_accepted")


def _spoil_a_block(file: Path) -> None:
    middle = file.stat().st_size // 2
    with file.open("r+b") as opened:
        opened.seek(middle)
        block = opened.read(64)
        opened.seek(middle)
        opened.write(bytes(byte ^ 0xFF for byte in block))  # zeros may stand there already


def _cut_the_tail(file: Path) -> None:
    os.truncate(file, file.stat().st_size * 2 // 3)  # a torn last commit alone is made whole


def _empty(file: Path) -> None:
    os.truncate(file, 0)


REFUSED: Mapping[str, tuple[str, tuple[Harm, ...]]] = {
    "clog": ("was acknowledged", (_spoil_a_block, _cut_the_tail)),  # it opens, and less is there
    "manifest": ("cannot be read", (_empty, _spoil_a_block, _cut_the_tail)),
}
"""Folder of the engine → what is said, and the harms of its newest file."""


@pytest.mark.parametrize("folder", REFUSED)
def test_a_damaged_store_is_refused_and_kept_and_there_is_a_way_back(
    folder: str, ground: Ground
) -> None:
    ground.start()
    assert ground.wait_for("landed")
    ground.kill()
    whole = ground.home / "whole"
    shutil.copytree(ground.state, whole)
    words, harms = REFUSED[folder]
    for harm in harms:
        _restore(ground, whole)
        file = _newest(ground, folder)
        harm(file)
        harmed = file.read_bytes()

        refused = ground.oya("swarm", code=None)
        assert refused.returncode == 1, refused
        assert words in refused.stderr, refused
        copy = ground.state / "copies" / "000001"
        assert str(copy) in refused.stderr
        assert (copy / "data" / folder / file.name).read_bytes() == harmed, "evidence has changed"
        assert ground.oya("beads", code=1).stderr.count(words) == 1
        assert [path.name for path in copy.parent.iterdir()] == ["000001"], "each makes a copy"
        until(lambda: not ground.living(), "nothing left", told=ground.living)

    _begins_anew(ground, refused.stderr)


def test_a_manifest_that_is_gone_costs_nothing(ground: Ground) -> None:
    """The engine makes a new one, and what it says is in the log all the same."""
    ground.start()
    assert ground.wait_for("landed")
    ground.kill()
    _newest(ground, "manifest").unlink()

    ground.finish()
    until(lambda: not ground.living(), "nothing left", told=ground.living)
    found = check(ground)
    assert {row["swarm"] for row in found.events} == {"swarm-1"}


def _restore(ground: Ground, whole: Path) -> None:
    shutil.rmtree(ground.state)
    shutil.copytree(whole, ground.state)


def _newest(ground: Ground, folder: str) -> Path:
    return max((ground.state / "data" / folder).iterdir())


def _begins_anew(ground: Ground, refusal: str) -> None:
    """As the refusal says: nothing lands twice, and no work of before is lost."""
    landed = int(ground.git("rev-list", "--count", "refs/oya/line/main")) - 1
    heads = [row["data"]["commit"] for row in ground.heard if row["event"] in ACCEPTED]
    lay, ground.at_stake, ground.heard = ground.at_stake, {}, []  # of a log that is put aside
    hint = refusal.partition("mv ")[2].splitlines()[0]
    subprocess.run(f"mv {hint}", shell=True, check=True, env=ground.env)

    assert ground.finish()["status"] == "completed"
    until(lambda: not ground.living(), "nothing left", told=ground.living)
    check(ground, earlier=landed)
    lost = [head for head in heads if not ground.git("for-each-ref", f"--contains={head}")]
    assert heads
    assert lost == [], "work of before the damage is not held by any ref"
    for attempt, files in lay.items():
        for path, data in files.items():
            assert _is_held(ground, attempt.partition("/")[0], path, data), (attempt, path)


def _is_held(ground: Ground, bead: str, path: str, data: bytes) -> bool:
    """Whether a ref of that bead's attempts, of today or of earlier, has that file so."""
    folders = (f"refs/oya/attempts/{bead}", f"refs/oya/earlier/{bead}")
    refs = ground.git("for-each-ref", "--format=%(refname)", *folders).splitlines()
    held = [ground.git("show", f"{ref}:{path}", check=False) for ref in refs]
    return data.decode().rstrip("\n") in held
