"""The promises of docs/semantics.md, each a predicate with a name, and the check of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oya.verify.attempts import (
    accepted_at_most_once,
    attempts_are_counted,
    epochs_rise_at_claims,
    leases_never_overlap,
)
from oya.verify.claims import (
    claims_only_while_running,
    crashed_agents_pause,
    dependencies_come_first,
    new_beads_have_room,
    nothing_runs_after_the_end,
    only_free_beads_are_begun,
)
from oya.verify.counters import counters_equal_events
from oya.verify.history import Breach, History
from oya.verify.landings import (
    contracts_were_red,
    each_bead_lands_once,
    held_work_was_approved,
    landed_on_the_recorded_base,
    landed_trees_were_green,
    log_and_line_agree,
    only_a_batch_is_proven_by_its_top,
    own_tests_are_not_flaky,
    target_is_never_exceeded,
    tracker_and_line_agree,
)
from oya.verify.log import Log
from oya.verify.steps import (
    log_has_no_gaps,
    states_are_what_events_make,
    steps_are_in_the_table,
    steps_join,
    swarms_live_as_they_should,
)
from oya.verify.work import attempts_are_kept, named_work_is_held, nothing_is_left

Promise = Callable[[Log], Iterator[Breach]]

PROMISES: tuple[Promise, ...] = (
    log_has_no_gaps,
    steps_join,
    steps_are_in_the_table,
    states_are_what_events_make,
    swarms_live_as_they_should,
    epochs_rise_at_claims,
    leases_never_overlap,
    accepted_at_most_once,
    attempts_are_counted,
    only_free_beads_are_begun,
    dependencies_come_first,
    new_beads_have_room,
    claims_only_while_running,
    crashed_agents_pause,
    nothing_runs_after_the_end,
    contracts_were_red,
    held_work_was_approved,
    landed_trees_were_green,
    only_a_batch_is_proven_by_its_top,
    landed_on_the_recorded_base,
    own_tests_are_not_flaky,
    each_bead_lands_once,
    log_and_line_agree,
    tracker_and_line_agree,
    target_is_never_exceeded,
    attempts_are_kept,
    named_work_is_held,
    counters_equal_events,
    nothing_is_left,
)


def check(history: History) -> list[Breach]:
    """Every breach of every promise, in the order of `PROMISES`; empty: all are kept.

    A record that cannot be read is a breach too; nothing is raised.
    """
    try:
        log = Log(history)
    except _UNREADABLE as error:
        return [Breach("log_has_no_gaps", f"the log cannot be read: {error!r}")]
    found: list[Breach] = []
    for promise in PROMISES:
        try:
            found += promise(log)
        except _UNREADABLE as error:
            found.append(Breach(promise.__name__, f"a record cannot be read: {error!r}"))
    return found


_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
