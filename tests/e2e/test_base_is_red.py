"""A base that is red: nothing is claimed, nobody is blamed, and it is said which and since when."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.others import Bare, Other
from kit.user import User, attached, carrying, ended, write
from kit.words import Stage, words

SUITE = r"""
for report; do :; done
red=0
for file in words/*.txt; do
  name=$(basename "$file" .txt)
  said="<testcase classname=\"words\" name=\"$name\""
  if grep -q broken "$file"; then red=1; said="$said><failure>broken</failure></testcase>"
  else said="$said/>"; fi
  cases="$cases$said"
done
echo "<testsuite>$cases</testsuite>" > "$report"
exit $red
"""
GATE = """
[quality-gates.tests]
command = "sh suite.sh {tests} {report}"
"""
PATIENCE = 100.0


def project(user: User, *names: str, more: str = "") -> Path:
    root = words(user, *names, more=GATE + more)
    write(root, {"suite.sh": SUITE})
    user.git(root, "add", "-A")
    user.git(root, "commit", "-q", "-m", "A suite")
    return root


def events(user: User, root: Path, name: str) -> list[dict[str, Any]]:
    rows = user.oya(root, "events", "--format", "json").out.splitlines()
    return [row for row in map(json.loads, rows) if row["event"] == name]


def until(what: Callable[[], Any]) -> Any:
    """Wait for something true, and return it."""
    give_up = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < give_up, "not within the time that a busy machine needs"
        time.sleep(0.2)
    return found


def status(user: User, root: Path) -> dict[str, Any]:
    found: dict[str, Any] = user.oya(root, "swarm", "status", "--format", "json").json
    return found


def test_before_the_start_it_is_a_refusal(user: User, stage: Stage) -> None:
    root = project(user, "w-1", "w-2")
    for number, text in enumerate(("fine", "broken", "broken still")):
        write(root, {"words/theirs.txt": f"{text}\n"})
        user.git(root, "add", "-A")
        user.git(root, "commit", "-q", "-m", f"Number {number}")
    first = user.git(root, "rev-parse", "main~1")
    said = user.oya(root, "swarm")
    assert said.code == 1, said
    assert "is red: words::theirs" in said.err
    assert f"since {first[:9]} (Number 1)" in said.err
    assert events(user, root, "claimed") == []
    found = status(user, root)
    assert f"since {first[:9]} (Number 1)" in found["reason"]
    assert "words::theirs" in user.oya(root, "why", "w-1").out

    user.git(root, "revert", "--no-edit", "HEAD", "HEAD~1")
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert "Landed 2/2 beads" in said.out
    assert user.oya(root, "verify").code == 0


def test_in_the_middle_claims_pause_and_it_goes_on_by_itself(user: User, stage: Stage) -> None:
    root = project(user, "w-1", "w-2", "w-3", more='[landing]\nremote = "origin"\n')
    there = Bare(user, root)
    other = Other(user, there.folder)
    stage.wait_in("implementer", "w-1")
    config = root / ".oya" / "swarm.toml"
    config.write_text(config.read_text().replace("test_writers = 2", "test_writers = 1"))
    assert user.oya(root, "swarm", "--detach").code == 0
    assert stage.arrived() == "implementer w-1"
    red = other.push({"words/theirs.txt": "broken\n"}, "Oops")
    other.push({"words/more.txt": "fine\n"}, "More")
    stage.go()
    found = until(lambda: (s := status(user, root))["status"] == "paused" and s)
    since = f"since {red[:9]} (Oops)"
    assert "words::theirs" in found["reason"]
    assert since in found["reason"]
    assert found["landing"]["red_base"] == there.tip
    text = user.oya(root, "swarm", "status").out
    assert since in text
    assert "is red; nothing new is claimed" in text
    until(lambda: not [a for a in status(user, root)["agents"] if a["state"] == "working"])
    waiting = user.oya(root, "why", "w-1").out
    assert "words::theirs" in waiting
    assert since in waiting
    claims = len(events(user, root, "claimed"))
    landed = status(user, root)["landed_beads"]
    other.push({"words/again.txt": "fine\n"}, "Green itself, on what is red")
    until(lambda: status(user, root)["landing"]["red_base"] == there.tip)
    assert len(events(user, root, "claimed")) == claims, "nothing is claimed"
    assert status(user, root)["landed_beads"] == landed

    there_too = attached(user, root)
    other.remove("words/theirs.txt")
    said = ended(there_too, 100)
    assert said.code == 0, said
    assert "Landed 3/3 beads" in said.out
    rows = user.oya(root, "beads", "--format", "json").json["beads"]
    assert {row["retry_count"] for row in rows} == {0}
    failed = events(user, root, "attempt_failed")
    assert [row for row in failed if row["class"] != "base_red" or row["data"]["used"]] == []
    assert events(user, root, "landing_conflicted") == []
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked
    assert carrying(user) == []
