"""What of a change can be left out: hunks and their parts, whatever the language."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oya.gates.ablation import (
    AS_BEFORE,
    OUT,
    changed_lines,
    different,
    drops,
    hunks,
    items,
    restored,
)
from oya.gates.variant import FILE_LIMIT, Variant

GO = """\
package scale

// Scale makes a recipe larger.
func Scale(amount, by float64) (float64, error) {
	if by <= 0 {
		return 0, ErrFactor
	}
	return amount * by, nil
}

func half(amount float64) float64 {
	return amount / 2
}
"""
PYTHON = '''\
"""Scales."""

import math


def scale(amount, by):
    """Larger."""
    if by <= 0:
        raise ValueError(by)
    return amount * by


@cached
def half(amount):
    return amount / 2


class Pan:
    size = 1

    def wide(self):
        return self.size > 2
'''
lines = st.lists(st.sampled_from(["a\n", "b\n", "  c\n", "\n", "d\n"]), max_size=30)


def levels(path: str, before: bytes | None, after: bytes | None) -> list[list[Variant]]:
    """What is worth a run."""
    made = drops(path, before, after)
    return [[v for v in level if different(v, after or b"")] for level in made]


def flat(path: str, before: bytes | None, after: bytes | None) -> list[Variant]:
    return [variant for level in levels(path, before, after) for variant in level]


@given(before=lines, after=lines)
def test_with_every_hunk_restored_it_is_the_base_again(before: list[str], after: list[str]) -> None:
    text = after
    for hunk in reversed(hunks(before, after)):
        text = restored(text, hunk)
    assert text == before


@given(before=lines, after=lines)
def test_with_one_hunk_restored_the_others_are_as_they_were(
    before: list[str], after: list[str]
) -> None:
    found = hunks(before, after)
    for hunk in found:
        rest = [(h.old, after[h.first : h.last]) for h in found if h is not hunk]
        text = restored(after, hunk)
        shift = len(hunk.old) - (hunk.last - hunk.first)
        for other, (_, piece) in zip((h for h in found if h is not hunk), rest, strict=True):
            at = other.first + (shift if other.first >= hunk.last else 0)
            assert text[at : at + len(piece)] == piece


@given(text=lines)
def test_items_lie_side_by_side_and_none_is_lost(text: list[str]) -> None:
    found = items(text, 0, len(text))
    first = next((n for n, line in enumerate(text) if line.strip()), len(text))
    assert not found or found[-1][1] == len(text)
    assert [a for _, a in found[:-1]] == [b for b, _ in found[1:]]
    assert not found or found[0][0] >= first


def test_a_new_file_is_taken_apart_by_its_indentation() -> None:
    found = levels("scale.go", None, GO.encode())
    whole, level_1, level_2, level_3 = found[:4]
    assert [(v.first, v.last, v.data) for v in whole] == [(1, 13, None)]
    assert [v.where for v in level_1] == ["scale.go:3-9", "scale.go:11-13"]
    assert [v.where for v in level_2] == ["scale.go:5-7", "scale.go:8", "scale.go:12"]
    assert [v.where for v in level_3] == ["scale.go:6"]
    branch = level_2[0]
    assert branch.data == GO.replace("\tif by <= 0 {\n\t\treturn 0, ErrFactor\n\t}\n", "").encode()
    assert (branch.how, branch.shown) == (OUT, "\tif by <= 0 {\n\t\treturn 0, ErrFactor\n\t}")


def test_python_is_left_out_by_functions_and_methods_and_stays_python() -> None:
    found = flat("scale.py", None, PYTHON.encode())
    assert [v.where for v in found] == [
        "scale.py:1-22", "scale.py:6-10", "scale.py:13-15", "scale.py:18-22", "scale.py:21-22",
    ]  # fmt: skip
    for variant in found[1:]:
        compile((variant.data or b"").decode(), "scale.py", "exec")


def test_a_changed_line_goes_back_to_what_it_was_on_the_base() -> None:
    before, after = b"int a = 1;\nint b = 2;\n", b"int a = 1;\nint b = 3;\nint c = 4;\n"
    whole, parts = levels("x.c", before, after)[:2]
    assert [(v.how, v.data) for v in whole] == [(AS_BEFORE, before)]
    assert [v.data for v in parts] == [b"int a = 1;\nint c = 4;\n", b"int a = 1;\nint b = 3;\n"]


def test_what_does_nothing_when_it_runs_is_not_left_out() -> None:
    before = b"import b from 'b';\n\nrun();\n"
    after = b"import b from 'b';\nimport a from 'a';\n\n// now\n/*\n * and then\n */\n\nrun();\n"
    assert flat("x.js", before, after) == []
    python = b'"""Says something else."""\nimport os\n\n# why\nrun()\n'
    assert flat("x.py", b"run()\n", python) == []
    assert flat("x.rb", b"# a\nrun\n", b"# b\nrun\n") == []


def test_tests_documents_data_and_lock_files_are_no_program() -> None:
    for path in (
        *("README.md", "data/x.json", "go.sum", "Cargo.lock", "package-lock.json", "Makefile"),
        *("tests/help.py", "x_test.go", "test_x.py", "src/x.spec.ts", "conftest.py", "types.d.ts"),
    ):
        assert flat(path, None, b"run(1)\nrun(2)\n") == [], path
    assert flat("bin/tool", None, b"#!/bin/sh\nrun 1\n")
    assert flat("src/contest.py", None, b"run(1)\nrun(2)\n")


def test_what_is_no_text_or_too_large_has_no_variants() -> None:
    assert flat("x.py", None, b"run(1)\0\n") == []
    assert flat("x.py", None, b"run('\xff')\n") == []
    assert flat("x.py", None, b"run(1)\n" * FILE_LIMIT) == []
    assert flat("x.go", b"a()\n" * FILE_LIMIT, b"run()\n") == []
    assert changed_lines("x.go", b"a()\n" * FILE_LIMIT, b"run()\n") == set()
    assert flat("x.go", b"gone()\n", None) == []


def test_hunks_that_only_remove_are_left_alone() -> None:
    assert flat("x.go", b"a()\nb()\n", b"a()\n") == []


def test_the_last_line_needs_no_line_feed() -> None:
    (variant,) = levels("x.go", b"a()", b"a()\nb()")[0]
    assert variant.data == b"a()"


def test_changed_lines_count_from_one() -> None:
    assert changed_lines("x.py", b"a()\nc()\n", b"a()\nb()\nc()\nd()\n") == {2, 4}
