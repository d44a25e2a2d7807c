"""The failure classes of docs/semantics.md, line by line."""

from __future__ import annotations

import pytest

from lifecycle_kit import CLAIM, apply, failed, new, step
from oya.lifecycle.failures import RULES, FailureClass

TABLE = {
    # class: attempt used, counts for meltdown, begins at the accepted head, what is done
    "agent_crash": (True, True, False, "restart_agent"),
    "agent_stuck": (True, True, False, "restart_agent"),
    "agent_empty": (True, True, False, "none"),
    "gate_red": (True, False, True, "none"),
    "contract_broken": (True, False, True, "none"),
    "conflict": (False, False, False, "none"),
    "cancelled": (False, False, False, "none"),
    "provider_limit": (False, False, False, "park_backend"),
    "provider_down": (False, False, False, "open_circuit"),
    "auth": (False, False, False, "disable_backend"),
    "host_pressure": (False, False, False, "wait_for_host"),
    "base_red": (False, False, False, "pause_claims"),
    "internal": (False, True, False, "restart_agent"),
}


def test_every_class_has_a_rule_and_a_line() -> None:
    assert set(RULES) == set(FailureClass)
    assert TABLE.keys() == {str(failure) for failure in FailureClass}


@pytest.mark.parametrize("failure", FailureClass)
def test_the_rules_are_those_of_the_page(failure: FailureClass) -> None:
    rule = RULES[failure]
    assert (rule.counts, rule.melts, rule.fresh, str(rule.measure)) == TABLE[failure]


@pytest.mark.parametrize("failure", FailureClass)
def test_the_table_of_beads_obeys_the_rule(failure: FailureClass) -> None:
    working = apply(new(), CLAIM)
    after, effects = step(working, failed(failure, "because", snapshot="half"))
    counts, _, fresh, _ = TABLE[failure]
    assert after.where == "contract/pending"
    assert after.retry_count == counts
    assert after.snapshot == (None if fresh else "half")
    assert effects == (), "what is done about it concerns agents and backends, not this bead"
