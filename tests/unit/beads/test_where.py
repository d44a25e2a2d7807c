"""The `[tracker] where` expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.beads import Bead
from oya.beads.where import CLAIMABLE, Where, parse_where
from oya.errors import ConfigError


def selected(text: str, bead: Bead) -> bool:
    where = parse_where(text)
    return bead.issue_type in where.types and where.selects(bead)


BEAD = Bead(id="a-1", issue_type="bug", priority=2, labels=("core", "ui"))


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("type in task,bug", True),
        ("type in task , feature", False),
        ("type in spike,bug and type in bug", True),
        ("type in task,bug and type in task", False),
        ("label in ui", True),
        ("label in db,ui", True),
        ("label in db", False),
        ("label not in db", True),
        ("label not in db,ui", False),
        ("priority <= 2", True),
        ("priority<=1", False),
        ("id in a-1,a-2", True),
        ("id in a-2", False),
        ("type in bug and label in ui and priority <= 2 and id in a-1", True),
        ("type in bug and label in ui and priority <= 2 and id in A-1", False),
        ("label in and,in,ui", True),
        ("label not in in", True),
    ],
)
def test_a_bead_is_selected_if_every_term_holds(text: str, selects: bool) -> None:
    assert selected(text, BEAD) is selects


def test_the_default_of_the_configuration_is_the_empty_expression() -> None:
    assert parse_where("type in task,bug,feature,chore,docs") == Where() == parse_where("  ")


def test_without_a_type_term_the_known_types_are_claimed() -> None:
    assert parse_where("label in ui").types == CLAIMABLE
    assert parse_where("type in spike").types == {"spike"}


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("types in task", 1, "found `types`"),
        ("type is task", 6, "expected `in`, found `is`"),
        ("type in", 8, "expected a value, found the end"),
        ("type in task,", 14, "expected a value, found the end"),
        ("type in task,,bug", 14, "expected a value, found `,`"),
        ("type in task bug", 14, "expected `and`, found `bug`"),
        ("type in task and", 17, "expected type, label, id or priority, found the end"),
        ("type in task and  ", 17, "found the end"),
        ("type not in task", 6, "expected `in`, found `not`"),
        ("id not in a", 4, "expected `in`, found `not`"),
        ("type in task,epic", 9, "an epic is a container"),
        ("label in ui and priority <= 5", 29, "from 0 to 4, found `5`"),
        ("priority < 2", 10, "expected `<=`, found `<`"),
        ("priority <= ", 12, "found the end"),
        ("priority <= -1", 13, "found `-1`"),
        ("and type in task", 1, "found `and`"),
        ("type in task or label in x", 14, "expected `and`, found `or`"),
    ],
)
def test_an_error_names_the_column(text: str, column: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_where(text)
    assert f"column {column}: " in str(caught.value)
    assert said in str(caught.value)
    assert "where = " in caught.value.hint


WORDS = st.sampled_from(
    ["type", "label", "id", "priority", "in", "not", "and", "<=", ",", "3", "x"]
)


@given(st.lists(WORDS).map(" ".join) | st.text(max_size=30))
def test_any_text_is_an_expression_or_a_configuration_error(text: str) -> None:
    try:
        parse_where(text).selects(BEAD)
    except ConfigError as error:
        assert "column" in str(error)
