from __future__ import annotations

import re
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from oya.repository.encode import decode, encode

NAME = re.compile(r"[A-Za-z0-9_%-]+(\.[A-Za-z0-9_%-]+)*")


def test_plain_ids_stay_as_they_are() -> None:
    assert encode("src-abc_1.2") == "src-abc_1.2"


def test_what_a_ref_cannot_hold_is_encoded() -> None:
    assert encode("a/b c:~") == "a%2Fb%20c%3A%7E"
    assert encode("..") == "%2E%2E"
    assert encode("a..b") == "a%2E%2Eb"
    assert encode(".a.") == "%2Ea%2E"
    assert encode("a.lock") == "a%2Elock"
    assert encode("é") == "%C3%A9"
    assert encode("") == "%"


@given(st.text(st.characters(), max_size=12))
def test_every_id_is_a_name_and_comes_back(bead: str) -> None:
    name = encode(bead)
    assert NAME.fullmatch(name)
    assert decode(name) == bead


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_different_ids_have_different_names(a: str, b: str) -> None:
    assert (encode(a) == encode(b)) == (a == b)


@given(st.lists(st.sampled_from("./@{}\\ ~^:?*[-a%l\n"), max_size=8).map("".join))
def test_git_takes_every_name_in_a_ref(bead: str) -> None:
    name = f"refs/oya/attempts/{encode(bead)}/1"
    assert subprocess.run(["git", "check-ref-format", name], check=False).returncode == 0
    name = f"refs/heads/oya/{encode(bead)}"
    assert subprocess.run(["git", "check-ref-format", name], check=False).returncode == 0


def test_a_long_id_is_cut_and_stays_its_own() -> None:
    a, b = encode("é" * 200), encode("é" * 199 + "e")
    assert a != b
    assert len(a) < 200
    assert NAME.fullmatch(a.replace("%h", "%"))
