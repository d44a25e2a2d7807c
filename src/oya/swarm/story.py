"""Events as sentences: the story of one bead, and the lines of a swarm for people.

Stands on `EventRecord` alone, so it tells the same from a live stream, from the store of a
swarm that ended years ago, and from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oya.lifecycle.record import EventRecord

MAX_WORDS = 300
_WORK = {
    "test_writer": "write its contract",
    "planner": "check its contract",
    "implementer": "implement it",
    "reviewer": "attack it",
}
_PHASE_WORK = {
    "contract": "write its contract",
    "contract:check": "check its contract",
    "implementation": "implement it",
    "review": "attack it",
}


def why(events: Iterable[EventRecord]) -> list[str]:
    """The story of a bead, one sentence an event, each with its time."""
    return [f"{clock_time(record.at)}  {sentence(record)}" for record in events]


def clock_time(at: str) -> str:
    """Date and time of a stamp, to the second, as they stand there (UTC)."""
    return at[:19].replace("T", " ")


def sentence(record: EventRecord) -> str:
    """One event, in words, with where the bead went if it went anywhere."""
    tell = _SENTENCES.get(record.event)
    words = tell(record) if tell else _plain(record)
    return f"{words}{_moved(record)}{_left_out(record)}{_noticed(record)}"


def line(record: EventRecord) -> str:
    """One event as one line of a log: time, bead, sentence."""
    who = f"{record.bead}  " if record.bead else ""
    return f"{record.at[11:19]}  {who}{sentence(record)}"


def _moved(record: EventRecord) -> str:
    if record.to is None or record.to == record.from_ or record.event in _SELF_EVIDENT:
        return ""
    phase, _, status = record.to.partition("/")
    names = {"contract:check": "the planner", "landing": "the landing queue"}
    if status == "failed":
        return " It has failed, and waits for a person."
    if status == "pending" and record.from_ and record.from_.partition("/")[0] != phase:
        return f" Next: {names.get(phase, phase)}."
    return ""


_SELF_EVIDENT = frozenset({"claimed", "landing_started", "landed", "removed", "undone"})


def _left_out(record: EventRecord) -> str:
    names = ", ".join(map(str, record.data.get("left_out") or ()))
    return f" Left out, too large or no file: {_words(names)}." if names else ""


def _noticed(record: EventRecord) -> str:
    found = record.data.get("discovered") or ()
    titles = "; ".join(str(one.get("title")) for one in found if isinstance(one, dict))
    return f" Noticed besides: {_words(titles)}." if titles else ""


def _words(text: object) -> str:
    """A reason as it can stand in a sentence: one line, bounded, no full stop."""
    said = " ".join(str(text or "").split()).rstrip(".")
    return said if len(said) <= MAX_WORDS else f"{said[: MAX_WORDS - 1]}…"


def _plain(record: EventRecord) -> str:
    name = record.event.replace("_", " ")
    said = f"{name[:1].upper()}{name[1:]}"
    return f"{said}: {_words(record.reason)}." if record.reason else f"{said}."


def _commit(record: EventRecord, key: str = "commit") -> str:
    return str(record.data.get(key) or "")[:9]


def _findings(record: EventRecord, key: str = "findings") -> str:
    found = record.data.get(key) or ()
    if not found:
        return _words(record.reason)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{_words(found[0])}{more}"


def _claimed(r: EventRecord) -> str:
    phase = (r.from_ or "").partition("/")[0]
    work = _WORK.get(str(r.data.get("role"))) or _PHASE_WORK.get(phase, "work on it")
    by = r.data.get("backend")
    with_ = f" with {by}" if by else ""
    return f"{r.agent or r.data.get('agent')} took it to {work}{with_} (epoch {r.epoch})."


def _failed(r: EventRecord) -> str:
    kept = " Its work is kept." if r.data.get("snapshot") else ""
    return f"The attempt of {r.agent or 'the agent'} ended as {r.class_}: {_words(r.reason)}.{kept}"


def _cannot(r: EventRecord) -> str:
    said = str(r.data.get("cannot") or "cannot").replace("_", " ")
    asked = r.data.get("question")
    question = f" It asks: {_words(asked)}" if asked else ""
    why_ = _words(r.data.get("why") or r.reason)
    return f"{r.agent or 'The agent'} says {said}: {why_}.{question}"


_PROOF = {
    "preserve": "all that passes on the base is to pass after it",
    "none": "no machine can prove it",
}


def _accepted(r: EventRecord) -> str:
    kind = r.data.get("kind")
    proof = _PROOF.get(str(kind), "red on the base for the right reason")
    return f"The contract was accepted ({kind}): {proof}."


def _check_accepted(r: EventRecord) -> str:
    unchecked = r.data.get("unchecked") or r.reason
    if unchecked:
        return f"The contract went on unchecked: {_words(unchecked)}."
    return "The planner accepted the contract."


def _implemented(r: EventRecord) -> str:
    green = f"The implementation was accepted: gates green at {_commit(r)}, frozen files untouched."
    return f"{green}{_hold(r)}"


def _defended(r: EventRecord) -> str:
    return f"The review found no survivor: defended at {_commit(r)}.{_hold(r)}"


def _contested(r: EventRecord) -> str:
    if r.data.get("mechanical"):
        return f"It goes back once for what no test notices: {_findings(r, 'survivors')}."
    return f"The review's challenges survived: {_findings(r, 'survivors')}."


def _looked(r: EventRecord) -> str:
    if r.reason:
        return f"Nothing was tried before the review: {_words(r.reason)}."
    tried, more = r.data.get("tried") or 0, r.data.get("more")
    room = ", and there was no room for more" if more else ""
    found = f"found: {_findings(r, 'survivors')}" if r.data.get("survivors") else "nothing found"
    return f"Changed versions tried before the review: {tried}{room}; {found}."


def _hold(r: EventRecord) -> str:
    if not r.data.get("hold"):
        return ""
    about = f" ({_words(r.reason)})" if r.reason else ""
    return f" It waits for a person: {str(r.data['hold']).replace('_', ' ')}{about}."


def _person(did: str) -> Callable[[EventRecord], str]:
    def tell(r: EventRecord) -> str:
        note = _words(r.reason)
        return f"A person {did}{f': {note}' if note else ''}."

    return tell


def _landed(r: EventRecord) -> str:
    helped = r.data.get("helped") or ()
    how = f" What conflicted was merged: {_words('; '.join(map(str, helped)))}." if helped else ""
    return f"It landed as {_commit(r)}.{how}"


def _gate(r: EventRecord) -> str:
    verdict = "green" if r.data.get("ok") else "red"
    seconds = r.data.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    return f"Gate {_words(r.reason)} ran {verdict}{took}."


def _backend(state: str) -> Callable[[EventRecord], str]:
    def tell(r: EventRecord) -> str:
        because = f": {_words(r.reason)}" if r.reason else ""
        return f"Backend {r.data.get('backend')} {state}{because}."

    return tell


def _because(words: str) -> Callable[[EventRecord], str]:
    def tell(r: EventRecord) -> str:
        said = _words(r.reason)
        return f"{words}{f': {said}' if said else ''}."

    return tell


def _data(words: str, key: str) -> Callable[[EventRecord], str]:
    def tell(r: EventRecord) -> str:
        said = _words(r.data.get(key) or r.reason)
        return f"{words}{f': {said}' if said else ''}."

    return tell


def _found(words: str, key: str = "findings") -> Callable[[EventRecord], str]:
    return lambda r: f"{words}: {_findings(r, key)}."


_SENTENCES: dict[str, Callable[[EventRecord], Any]] = {
    "added": lambda r: f"It came from the tracker: {_words(r.data.get('title'))}.",
    "claimed": _claimed,
    "contract_accepted": _accepted,
    "check_accepted": _check_accepted,
    "check_revised": _found("The planner wants the contract revised"),
    "implementation_accepted": _implemented,
    "defended": _defended,
    "contested": _contested,
    "looked": _looked,
    "forfeited": _data("A survivor contradicts the contract", "contradiction"),
    "review_stalled": _data("The review needs a person's answer", "question"),
    "withheld": lambda r: f"The settings of now hold it.{_hold(r)}",
    "landing_started": lambda r: f"It is being landed on {_commit(r, 'base')}.",
    "landed": _landed,
    "landing_left": _because("It left the landing queue for now"),
    "landing_conflicted": _because("It did not fit on the new base"),
    "attempt_failed": _failed,
    "lease_expired": _because("The attempt was given up"),
    "cannot_do": _cannot,
    "edited": lambda r: "It was edited in the tracker, so its contract starts anew.",
    "blocked": _because("It is blocked"),
    "unblocked": lambda r: "It is free again.",
    "removed": _because("It was taken out"),
    "reopened": lambda r: "It was opened again in the tracker.",
    "held_by_person": _person("held it"),
    "approved": _person("approved it"),
    "rejected": _person("rejected it"),
    "released": _person("released it"),
    "retried": _person("wants it tried again"),
    "undone": _because("What landed was undone"),
    "findings": _because("Findings went back to the agent in the same session"),
    "result_refused": _because("A result came too late and was refused"),
    "flaky": _because("Red, then green on the same tree"),
    "gate_ran": _gate,
    "backend_ok": _backend("works again"),
    "backend_parked": _backend("is parked"),
    "backend_down": _backend("is down"),
    "backend_disabled": _backend("is disabled"),
    "swarm_starting": _because("The swarm starts"),
    "swarm_running": _because("The swarm runs"),
    "swarm_paused": _because("The swarm is paused"),
    "swarm_stopping": _because("The swarm is stopping"),
    "swarm_stopped": _because("The swarm has stopped"),
    "swarm_completed": _because("The swarm is done"),
    "swarm_failed": _because("The swarm has failed"),
    "swarm_changed": _because("The swarm was changed"),
    "target_capped": lambda r: f"{_words(r.reason).capitalize()}.",
    "warning": lambda r: f"Warning: {_words(r.reason)}.",
}
