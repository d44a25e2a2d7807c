"""What a run has come to, held against the promises, and against what only the world knows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from oya.beads import PATH
from oya.clock import stamp
from oya.lifecycle.model import BeadState, state_to_json
from oya.swarm.candidate import beads_of, candidate_ref
from oya.testing.simulation import suite
from oya.testing.simulation.agents import WIDE
from oya.testing.simulation.checkout import lost
from oya.testing.simulation.git import root_of
from oya.testing.simulation.plan import HELD, UNPROVEN, Plan
from oya.testing.simulation.run import Ran, run
from oya.testing.simulation.world import BEGAN, World
from oya.verify import Breach, Commit, Dependency, History, check
from oya.verify.landings import named_trees

LINE = "refs/oya/line/main"
ATTEMPTS = "refs/oya/attempts/"
_NEW = state_to_json(BeadState(""))
"""A bead's row says only what differs from a new one."""
MOST_EVENTS = 150
"""Events of one bead, some three times what the worst of hundreds of seeds needs."""


def breaches(ran: Ran) -> list[Breach]:
    """Every promise that the run has broken; empty: none, and it came to its end.

    One that is stuck has broken that one first; those that hold at any moment are looked at too.
    """
    history = history_of(ran)
    found = check(history)
    found += [Breach(_name(truth), what) for truth in TRUTHS for what in truth(ran, history)]
    if not ran.stuck:
        return found
    at_any_moment = [breach for breach in found if breach.promise != "nothing_is_left"]
    return [Breach("it_comes_to_an_end", ran.stuck), *at_any_moment]


def play(plan: Plan) -> tuple[Ran | None, list[Breach]]:
    """Run a plan, and hold it against the promises; to raise is a breach too, and leaves no run."""
    try:
        ran = run(plan)
        return ran, breaches(ran)
    except Exception as error:
        return None, [Breach("it_raises", repr(error))]


def history_of(ran: Ran) -> History:
    """The run as the checker sees it."""
    world = ran.world
    refs, objects = world.git.refs, world.git.objects
    held = set[str]()
    for commit in sorted(set(refs.values())):
        line = [commit]
        while line:
            at = line.pop()
            if at not in held:
                held.add(at)
                line += objects.commits[at].parents
    events = [json.loads(row) for row in ran.events.decode().splitlines()]
    return History(
        events=events,
        beads={row["id"]: _NEW | row["state"] for row in world.rows("beads")},
        swarms={row["id"]: row for row in world.rows("swarm_state")},
        commits=list(_landed(world)),
        judged={id: _judged(world, id) for row in events for id in named_trees(row)},
        attempts=_attempts(world),
        held=held.__contains__,
        intents=beads_of(world.rows("intents")),
        pushed=_pushed(world),
        unclosed=[
            key.removeprefix("unclosed:")
            for key in sorted(world.disk.volatile["checkpoints"])
            if key.startswith("unclosed:")
        ],
        leftovers=list(_leftovers(world)),
        tracker=_tracker(world),
        depends=_depends(world),
    )


def _depends(world: World) -> dict[str, list[Dependency]]:
    """Those of the plan, and those that somebody added meanwhile, from when they were read."""
    found = {bead.id: [Dependency(need) for need in bead.needs] for bead in world.plan.beads}
    if any(fault.kind == "clock" for fault in world.plan.faults):
        return found  # what came before and what after is not told by the times of events
    for at, bead, need in world.needs:
        since = stamp(BEGAN + timedelta(seconds=world.seen(at)))
        found.setdefault(bead, []).append(Dependency(need, since))
    return found


def _landed(world: World) -> Iterator[Commit]:
    objects = world.git.objects
    line: list[Commit] = []
    at = world.git.refs.get(LINE)
    while at is not None:
        commit = objects.commits[at]
        trailers = dict(t.split(": ", 1) for t in commit.message.splitlines() if ": " in t)
        parent = commit.parents[0] if commit.parents else None
        if "Bead" in trailers and parent is not None:
            judged = _judged(world, at)
            line.append(Commit(at, trailers["Bead"], parent, judged, trailers.get("Swarm", "")))
        at = parent
    return reversed(line)


def _judged(world: World, commit: str) -> str:
    root = root_of(world.git.objects, world.git.objects.files(commit))
    text = "\n".join(f"{about}\t{name}" for name, about in root.items() if name != ".beads")
    return hashlib.sha256(text.encode()).hexdigest()


def _attempts(world: World) -> dict[tuple[str, int], str]:
    found = {}
    for name, commit in world.git.refs.items():
        if name.startswith(ATTEMPTS):
            bead, _, epoch = name.removeprefix(ATTEMPTS).rpartition("/")
            found[bead, int(epoch)] = commit
    for path in world.folders.kept:
        bead, _, epoch = path.name.rpartition(".")
        found.setdefault((bead, int(epoch.partition("-")[0])), str(path))
    if world.git_was_out:  # what no ref could hold is in its folder still
        for path in world.folders.folders:
            record = world.folders.records[path.name]
            found.setdefault((record.bead, record.epoch), str(path))
    return found


def _pushed(world: World) -> list[str]:
    return beads_of(row for row in world.rows("intents") if row.get("remote"))


def _leftovers(world: World) -> Iterator[str]:
    if world.git_was_out:
        return
    held = {candidate_ref(bead) for bead in _pushed(world)}
    for name in sorted(world.git.refs):
        if name.startswith(("refs/oya/base/", "refs/oya/candidates/")) and name not in held:
            yield name
    yield from (str(path) for path in sorted(world.folders.folders))
    yield from sorted(world.folders.records)


def _tracker(world: World) -> dict[str, Any]:
    if world.plan.tracked:
        data = world.git.objects.files(world.git.refs[LINE])[PATH].data
    else:
        data = world.git.working[PATH]
    records = [json.loads(line) for line in data.decode().splitlines()]
    return {record["id"]: record for record in records}


# What only the world knows -------------------------------------------------------------------


def _ports_were_used_as_they_should(ran: Ran, _: History) -> Iterator[str]:
    yield from ran.world.breaches


def _what_was_acknowledged_is_there(ran: Ran, _: History) -> Iterator[str]:
    """Whoever heard that an event is durable finds it as it was, whatever came after."""
    there = ran.world.disk.durable["events"]
    for key, row in sorted(ran.world.acknowledged.items()):
        if key not in there:
            yield f"event {int(key)} was acknowledged, and is not in the log"
        elif there[key] != row:
            yield f"event {int(key)} was acknowledged as {row}, and is {there[key]}"


def _landed_trees_are_green(ran: Ran, history: History) -> Iterator[str]:
    """The truth, which no gate's luck can change; of a batch that of its top. What no test stands
    for and nobody reviews is what a person says it is."""
    objects = ran.world.git.objects
    landed = [row["data"] for row in history.events if row["event"] == "landed"]
    beneath = {data["commit"] for data in landed if data.get("proven")}
    for commit in history.commits:
        files = objects.files(commit.id)
        if commit.id not in beneath and not suite.is_green(files):
            yield f"{commit.id[:9]} ({commit.bead}) is red: {suite.wrong(files)}"
        by_person = not ran.plan.review and ran.plan.bead(commit.bead).kind in UNPROVEN
        if not by_person and f"done-{commit.bead}\n".encode() not in _work_of(files, commit.bead):
            yield f"{commit.id[:9]} does not have the work of {commit.bead}"
        if WIDE in files:
            yield f"{commit.id[:9]} ({commit.bead}) has {WIDE}, which it was not to touch"
        contract = history.beads.get(commit.bead, {}).get("contract")
        accepted = objects.files(contract) if contract else {}
        test = f"tests/{commit.bead}.t"
        if test in accepted and files.get(test) != accepted[test]:
            yield f"{commit.id[:9]} has another {test} than the contract of {commit.bead}"


def _weak_work_was_approved(ran: Ran, history: History) -> Iterator[str]:
    """What the kind of the bead says, whatever the log says of holds."""
    approved = {row["bead"] for row in history.events if row["event"] == "approved"}
    for commit in history.commits:
        if ran.plan.bead(commit.bead).kind in HELD and commit.bead not in approved:
            yield f"{commit.bead} landed, and nobody approved it"


def _work_of(files: Any, bead: str) -> bytes:
    file = files.get(f"src/{bead}.x")
    return file.data if file else b""


def _the_remote_has_what_landed_and_nothing_else_of_ours(
    ran: Ran, history: History
) -> Iterator[str]:
    """Each landing is there, nothing that others pushed is gone, and nothing arrived unrecorded."""
    world = ran.world
    if not world.plan.remote or any(fault.kind == "rewrite" for fault in world.plan.faults):
        return
    objects, there = world.git.objects, world.upstream
    for commit in world.others:
        if not objects.is_ancestor(commit, there):
            yield f"{commit[:9]} of somebody else is not at the remote any more"
    recorded = {row["data"]["commit"] for row in history.events if row["event"] == "landed"}
    for commit in sorted(recorded):
        if not objects.is_ancestor(commit, there):
            yield f"{commit[:9]} has landed, and is not at the remote"
    for commit in objects.ancestors(there):
        lines = objects.commits[commit].message.splitlines()
        bead = next((one.removeprefix("Bead: ") for one in lines if one.startswith("Bead: ")), "")
        if bead and commit not in recorded and bead not in history.intents:
            yield f"{commit[:9]} ({bead}) is at the remote, and no event says so"


def _work_at_stake_is_kept(ran: Ran, _: History) -> Iterator[str]:
    """What lay in a workspace when a daemon died is under that attempt's ref."""
    world, attempts = ran.world, _attempts(ran.world)
    there = {(r.bead, r.epoch) for r in world.folders.records.values() if r.ready}
    for (bead, epoch), files in sorted(world.stakes.items()):
        if ran.stuck and (bead, epoch) in there:
            continue  # the next start would harvest it
        head = attempts.get((bead, epoch))
        if head is None:
            if ran.stuck == "":
                yield f"attempt {epoch} of {bead} lay in a folder, and has no ref"
            continue
        if head.startswith("/"):
            continue  # moved aside as it was
        kept = world.git.objects.files(head)
        lost = [p for p, data in files.items() if p not in kept or kept[p].data != data]
        if lost:
            yield f"attempt {epoch} of {bead} has lost {', '.join(lost)}"


def _the_checkout_is_as_it_was_left(ran: Ran, _: History) -> Iterator[str]:
    """oya writes to the user's files by fast-forwards alone, and its closings in the backlog."""
    yield from lost(ran.world)


def _everything_workable_was_done(ran: Ran, history: History) -> Iterator[str]:
    """When faults have ceased, every bead that can be worked on lands, or says why it has not."""
    swarm = next(reversed(list(history.swarms.values())), None)
    if ran.stuck or swarm is None or swarm["landed_beads"] >= swarm["target_beads"]:
        return
    flying = sum(1 for state in history.beads.values() if _in_flight(state))
    room = swarm["landed_beads"] + flying < swarm["target_beads"]
    for bead, state in history.beads.items():
        free = state["status"] == "pending" and not state["blocked"]
        if free and (room or state["epoch"] or state["phase"] == "landing"):
            yield f"{bead} is {state['phase']}/pending, and nobody works on it"
        if state["status"] == "failed" and not state["reason"]:
            yield f"{bead} has failed, and does not say why"


def _what_was_noticed_is_offered_once(_: Ran, history: History) -> Iterator[str]:
    """Every landed bead has left in the tracker what its agents noticed, and nothing else."""
    said: dict[str, list[Any]] = defaultdict(list)
    for row in history.events:
        said[row["bead"]] += row["data"].get("discovered", ())
    tracker, waits = history.tracker or {}, {*history.intents, *history.unclosed}
    for bead, state in history.beads.items():
        there = state["phase"] == "landed" and state["status"] == "complete"
        if not there or bead in waits or bead not in tracker:
            continue
        titles = list(dict.fromkeys(one["title"] for one in said[bead]))[:5]
        offered = [r for r in tracker.values() if r.get("created_by") == "oya" and _of(r, bead)]
        if [r["title"] for r in offered] != titles:
            yield f"at {bead} {titles} were noticed, and {offered} are in the tracker"
        for record in offered:
            if record["status"] != "deferred" or record["id"] in history.beads:
                yield f"{record['id']} was noticed, and nobody has opened it: {record}"


def _of(record: Any, bead: str) -> bool:
    return any(one["depends_on_id"] == bead for one in record["dependencies"])


def _in_flight(state: Any) -> bool:
    """Begun, and still to land: no new bead is begun for which the target has no room."""
    waits = state["status"] == "held" and state["hold"] == "approval"
    return bool(state["epoch"]) and (state["status"] in ("pending", "in_progress") or waits)


def _leases_of_the_living_do_not_run_out(ran: Ran, history: History) -> Iterator[str]:
    """Where nothing has died or refused, every attempt renews its lease in time."""
    if any(fault.kind in _ENDS_LEASES for fault in ran.plan.faults):
        return
    for row in history.events:
        if row["event"] == "lease_expired":
            yield f"{row['bead']}: event {row['seq']}: {row['reason']}"


_ENDS_LEASES = frozenset(
    {"crash", "crash at", "crash again", "power", "defect", "commits", "stop"}
    | {"store out", "git out"}
)


def _nothing_goes_in_circles(_: Ran, history: History) -> Iterator[str]:
    times = Counter(row["bead"] for row in history.events if row["bead"])
    for bead, count in times.items():
        if count > MOST_EVENTS:
            yield f"{bead} has {count} events"


TRUTHS = (
    _ports_were_used_as_they_should,
    _what_was_acknowledged_is_there,
    _landed_trees_are_green,
    _weak_work_was_approved,
    _the_remote_has_what_landed_and_nothing_else_of_ours,
    _work_at_stake_is_kept,
    _the_checkout_is_as_it_was_left,
    _everything_workable_was_done,
    _what_was_noticed_is_offered_once,
    _leases_of_the_living_do_not_run_out,
    _nothing_goes_in_circles,
)


def _name(truth: Any) -> str:
    return str(truth.__name__).strip("_")
