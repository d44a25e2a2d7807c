"""Landings: the log, the line and the tracker say the same, and each commit was proven."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oya.verify.history import Row
from oya.verify.log import SECONDS, Found, Log, promise, text, told

RED_LISTED = 20
"""Red tests that an event `gate_ran` names, at most."""
_CLOSED_BY_OYA = re.compile(r"landed (by oya|as [0-9a-f]{7,64})")


@dataclass(frozen=True, slots=True)
class Landing:
    """A landing that the log tells of: its contract, its beginning and its end."""

    bead: str
    contract: Row | None
    started: Row
    landed: Row

    @property
    def commit(self) -> str:
        return str(self.landed["data"]["commit"])

    @property
    def proven(self) -> str:
        """The commit that the evidence is of."""
        return str(self.landed["data"].get("proven") or self.commit)


def landings(log: Log) -> Iterator[Landing]:
    """Every landing that has a beginning, by bead."""
    for bead in dict.fromkeys(row["bead"] for row in log.named["landed"]):
        contract = started = None
        for row in log.steps[bead]:
            if row["event"] == "contract_accepted":
                contract = row
            elif row["event"] == "landing_started":
                started = row
            elif row["event"] == "landed" and started is not None:
                yield Landing(bead, contract, started, row)
                started = None


@promise
def log_and_line_agree(log: Log) -> Iterator[Found]:
    """The commits of the line are those that the log says landed, in that order."""
    told_of = {row["data"]["commit"]: row["bead"] for row in log.named["landed"]}
    undone = _undone(log)
    line = [commit for commit in log.history.commits if commit.id not in undone]
    for commit in line:
        # One that is being landed may be there before its event.
        if commit.id not in told_of and commit.bead not in log.history.intents:
            what = f"{text(commit.id)} ({commit.bead}) is on the line, and no event says so"
            yield what, commit.bead, None
    there = {commit.id for commit in line}
    for row in log.named["landed"]:
        commit_id = row["data"]["commit"]
        if commit_id not in there and commit_id not in undone:
            what = f"{text(commit_id)} ({row['bead']}) landed by {told(row)}, and is not there"
            yield what, row["bead"], row["seq"]
    known = [commit.id for commit in line if commit.id in told_of]
    if known != [commit_id for commit_id in told_of if commit_id in there]:
        yield "commits have another order on the line than in the log", None, None


@promise
def each_bead_lands_once(log: Log) -> Iterator[Found]:
    """A bead has one commit on the line, unless what landed was undone."""
    undone = _undone(log)
    times = Counter(commit.bead for commit in log.history.commits if commit.id not in undone)
    for bead, count in times.items():
        if count > 1:
            yield f"{bead} has {count} commits on the line", bead, None


@promise
def landed_on_the_recorded_base(log: Log) -> Iterator[Found]:
    """A landed commit stands on the base that its landing began with, for that bead and swarm."""
    commits = {commit.id: commit for commit in log.history.commits}
    for landing in landings(log):
        commit, base = commits.get(landing.commit), landing.started["data"]["base"]
        if commit is None:
            continue  # log_and_line_agree has said so, or it was undone
        if commit.parent != base:
            what = f"{text(commit.id)} stands on {text(commit.parent)}, and began on {text(base)}"
            yield what, landing.bead, landing.landed["seq"]
        if commit.bead != landing.bead or commit.swarm not in ("", landing.landed["swarm"]):
            what = f"{text(commit.id)} names {commit.bead} and {commit.swarm}, not {landing.bead}"
            yield what, landing.bead, landing.landed["seq"]


@promise
def landed_trees_were_green(log: Log) -> Iterator[Found]:
    """Every gate was green on exactly the tree that landed, at its last run before that; with
    `prove = "top"` on the top of the batch that it landed with."""
    judged = {commit.id: commit.judged for commit in log.history.commits}
    for landing in landings(log):
        seq, keys = landing.landed["seq"], landing.landed["data"].get("evidence") or ()
        tree = judged.get(landing.proven)
        ran = [_last_run(log, key, seq, tree) for key in keys]
        for key, run in zip(keys, ran, strict=True):
            wrong = _not_green(run, tree)
            if wrong and not (_no_worse(log, landing) and _was_red(log, run, tree)):
                what = f"{landing.bead}: evidence {text(key)} of {text(landing.commit)} {wrong}"
                yield what, landing.bead, seq
        settings = log.settings(landing.started["swarm"], landing.started["seq"])
        gates = {run["reason"] for run in ran if run is not None}
        for gate in settings.get("gates", ()):
            if gate not in gates:
                yield f"{landing.bead} landed without the gate {gate}", landing.bead, seq


@promise
def only_a_batch_is_proven_by_its_top(log: Log) -> Iterator[Found]:
    """Where the gates ran on another commit, that one landed in the same moment, further up, and
    the swarm was not to prove every commit."""
    for landing in landings(log):
        if landing.proven == landing.commit:
            continue
        seq = landing.landed["seq"]
        above: list[str] = []
        for row in log.events[bisect_right(log.events, seq, key=lambda row: row["seq"]) :]:
            if row["event"] != "landed" or row["seq"] != seq + len(above) + 1:
                break
            above.append(row["data"]["commit"])
        if landing.proven not in above:
            what = f"{landing.bead} was proven by {text(landing.proven)}, which is not above it"
            yield what, landing.bead, seq
        settings = log.settings(landing.started["swarm"], landing.started["seq"])
        if settings.get("prove") == "all":
            yield f"{landing.bead} landed unproven, beneath others", landing.bead, seq


def _last_run(log: Log, key: str, before: int, tree: str | None = None) -> Row | None:
    """The run that made this evidence. Versions before 0.2 did not write keys down."""
    runs = [run for run in log.runs.get(key, ()) if run["seq"] < before]
    runs = runs or [run for run in log.runs.get("", ()) if run["data"]["tree"] == tree]
    return runs[-1] if runs else None


def _no_worse(log: Log, landing: Landing) -> bool:
    """Whether what was red on the base was allowed to stay so."""
    started = landing.started
    return log.settings(started["swarm"], started["seq"]).get("baseline") == "no-worse"


def _was_red(log: Log, run: Row | None, tree: str | None) -> bool:
    """Whether all that is red in a run of that tree was red in an earlier one, on another tree."""
    if run is None or run["data"]["tree"] != tree:
        return False
    now = run["data"].get("red") or ()
    return any(
        _holds_all(before["data"].get("red") or (), now)
        for before in log.named["gate_ran"]
        if before["seq"] < run["seq"]
        and before["reason"] == run["reason"]
        and before["data"]["tree"] != tree
        and not before["data"]["ok"]
    )


def _holds_all(before: Sequence[str], now: Sequence[str]) -> bool:
    """Whether each of these red tests was red by itself or with its file, as far as is listed."""
    if len(before) >= RED_LISTED or len(now) >= RED_LISTED:
        return True
    return all(any(red == one or red.startswith(f"{one}::") for one in before) for red in now)


def _not_green(run: Row | None, tree: str | None) -> str:
    if run is None:
        return "is of no run"
    data = run["data"]
    if tree is not None and data["tree"] != tree:
        return f"is of the tree {text(data['tree'])}, not {text(tree)}"
    return "" if data["ok"] or data.get("empty") else f"is red ({told(run)})"


@promise
def contracts_were_red(log: Log) -> Iterator[Found]:
    """A landed bead's contract was red on its recorded base, for one of its own tests or checks;
    one that preserves was red there for nothing new, and of kind none nothing is known."""
    for landing in landings(log):
        accepted = landing.contract
        if accepted is None:
            yield f"{landing.bead} landed without a contract", landing.bead, landing.landed["seq"]
        elif wrong := _not_red(log, accepted):
            yield f"{landing.bead}: the contract of {told(accepted)} {wrong}", landing.bead, None


@promise
def held_work_was_approved(log: Log) -> Iterator[Found]:
    """What there was a reason to hold began to land after a person approved it, and
    a contract of a kind that may not land alone had such a reason."""
    for bead, rows in log.steps.items():
        kind, waits = None, False
        for row in rows:
            name, seq, hold = row["event"], row["seq"], row["data"].get("hold")
            if name == "contract_accepted":
                kind = row["data"].get("kind")
            elif name in ("defended", "implementation_accepted"):
                waits = hold is not None
                if row["to"].startswith("landing") and not waits and _is_weak(log, row, kind):
                    yield f"{bead}: {told(row)} holds nothing, its contract is {kind}", bead, seq
            elif name in ("withheld", "approved"):
                waits = name == "withheld"
            elif name == "landing_started" and waits:
                yield f"{bead}: {told(row)}, and nobody has approved it", bead, seq


def _is_weak(log: Log, row: Row, kind: str | None) -> bool:
    """Whether that kind of contract may not land alone. Versions before 0.2 do not say."""
    alone = log.settings(row["swarm"], row["seq"]).get("unattended")
    return alone is not None and kind is not None and kind not in alone


def named_trees(row: Row) -> list[str]:
    """The base and the contract that an event accepts: what its evidence must be of."""
    data = row["data"]
    return [data["base"], data["commit"]] if row["event"] == "contract_accepted" else []


def _not_red(log: Log, accepted: Row) -> str:
    red, kind = accepted["data"].get("red"), accepted["data"].get("kind")
    if kind == "none":
        return ""
    if red is None:
        return "" if accepted["seq"] < log.told_since else "has no evidence"
    if "checks" in red:
        held = all(check["exit"] == check["expect"] for check in red["checks"])
        return "had no red check" if held else ""
    runs = [_last_run(log, key, accepted["seq"]) for key in red["keys"]]
    if len(runs) != 2 or None in runs:
        return "names evidence that is of no run"
    before, after = (run["data"] for run in runs if run is not None)
    for commit, run in zip(named_trees(accepted), (before, after), strict=True):
        if wrong := _of_another_tree(log, accepted, commit, run["tree"]):
            return wrong
    if kind == "preserve":
        return _new_red(before, after)
    return _own_red(after, accepted["data"].get("fail_to_pass") or ())


def _new_red(before: Row, after: Row) -> str:
    """What a contract that preserves has broken."""
    was, now = before.get("red") or (), after.get("red") or ()
    if (after["ok"] or after.get("empty")) and not now:
        return ""
    if before["ok"] or (len(was) < RED_LISTED and not set(now) <= set(was)):
        return "was to preserve what holds, and was red"
    return ""


def _of_another_tree(log: Log, accepted: Row, commit: str, tree: str) -> str:
    """A contract stands on its base: as long as a ref holds it, git has both."""
    judged = log.history.judged.get(commit)
    if judged is None:
        held = log.history.held(accepted["data"]["commit"])
        return f"names {text(commit)}, which git does not have" if held else ""
    return "" if tree == judged else f"was held against {text(tree)}, not {text(judged)}"


def _own_red(run: Row, planned: Sequence[str]) -> str:
    reds = run.get("red") or ()
    if not planned:
        return "plans no red test"
    if run["ok"] and not reds:
        return "was green"
    own = any(_touches(red, planned) for red in reds)
    return "" if own or not reds or len(reds) >= RED_LISTED else "was red elsewhere only"


def _touches(red: str, planned: Sequence[str]) -> bool:
    """Whether a red case, or a file that cannot be collected, is of one of these tests."""
    return any(red == one or red.startswith(f"{one}[") or one.startswith(red) for one in planned)


@promise
def own_tests_are_not_flaky(log: Log) -> Iterator[Found]:
    """A bead whose own planned test was red on its candidate does not land from that round."""
    reds: dict[str, list[Row]] = defaultdict(list)
    for run in log.named["gate_ran"]:
        if run["data"].get("red"):
            reds[run["data"]["tree"]].append(run)
    judged = {commit.id: commit.judged for commit in log.history.commits}
    for landing in landings(log):
        data = landing.contract["data"] if landing.contract else {}
        planned = data.get("fail_to_pass") or ()
        for run in reds.get(judged.get(landing.commit, ""), ()):
            within = landing.started["seq"] < run["seq"] < landing.landed["seq"]
            if within and any(_touches(red, planned) for red in run["data"]["red"]):
                what = f"{landing.bead} landed, though its own test was red ({told(run)})"
                yield what, landing.bead, landing.landed["seq"]


@promise
def target_is_never_exceeded(log: Log) -> Iterator[Found]:
    """No landing begins when as many have landed as the swarm was to land."""
    landed: Counter[str | None] = Counter()
    began: dict[int, int] = {one.landed["seq"]: one.started["seq"] for one in landings(log)}
    for row in log.named["landed"]:
        swarm: str | None = row["swarm"]
        seq: int = row["seq"]
        landed[swarm] += 1
        # It may have been lowered while the gates ran.
        targets = log.targets(swarm, began.get(seq, seq), seq)
        if targets and landed[swarm] > max(targets):
            what = f"{told(row)} is landing {landed[swarm]} of {swarm}, of {max(targets)}"
            yield what, row["bead"], seq


@promise
def tracker_and_line_agree(log: Log) -> Iterator[Found]:
    """What has landed is closed in the tracker, and what oya closed there has landed."""
    landed = {row["bead"]: row for row in log.named["landed"]}
    waiting = {*log.history.intents, *log.history.unclosed}
    for bead, record in (log.history.tracker or {}).items():
        state = log.history.beads.get(bead)
        if state is None or bead in waiting:
            continue
        closed = record["status"] in ("closed", "tombstone")
        there = state["phase"] == "landed" and state["status"] == "complete"
        if there and not closed and not _opened_again(record, landed.get(bead)):
            yield f"{bead} has landed, and is {record['status']} in the tracker", bead, None
        ours = _CLOSED_BY_OYA.fullmatch(str(record.get("close_reason") or ""))
        if closed and ours and bead not in landed:
            yield f"{bead} was closed as landed, and has not landed", bead, None


def _opened_again(record: Row, landed: Row | None) -> bool:
    """Whether somebody has changed it since: a person may open again what has landed."""
    changed = str(record.get("updated_at") or "")
    return landed is not None and changed[:SECONDS] > landed["at"][:SECONDS]


def _undone(log: Log) -> set[str]:
    """Commits that landed and were undone."""
    last: dict[str, str] = {}
    found = set()
    for bead in {row["bead"] for row in log.named["undone"]}:
        for row in log.steps[bead]:
            if row["event"] == "landed":
                last[bead] = row["data"]["commit"]
            elif row["event"] == "undone" and bead in last:
                found.add(last[bead])
    return found
