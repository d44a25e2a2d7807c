"""The proof that the story can happen: every session played on real git and real tests."""

from __future__ import annotations

from oya.demo.story.load import Table, troubles
from oya.demo.story.play import Played, Workspace
from oya.demo.story.plot import Story, Untrue


def holds(true: bool, what: str) -> None:
    """Raise `Untrue` unless it is true."""
    if not true:
        raise Untrue(what)


def land(story: Story, workspace: Workspace, order: list[str]) -> tuple[dict[str, str], list[str]]:
    """Land beads in this order, each made on the oldest base that it can have.

    The tip of the line after each bead, and the beads that conflicted and were
    made anew on the new base.
    """
    tip, tips, reworked = workspace.start, dict[str, str](), list[str]()
    for bead in order:
        last = max(story.needs[bead], key=order.index, default=None)
        workspace.at(tips[last] if last else workspace.start)
        workspace.play(bead, "test_writer")
        workspace.play(bead, "implementer")
        work = workspace.commit(bead)
        merging = ("merge-tree", "--write-tree", "--name-only", tip, work)
        tree, *conflicts = workspace.git(*merging, may_fail=True).splitlines()
        if conflicts:
            workspace.at(tip)
            workspace.git("merge", "-q", "--no-commit", work, may_fail=True)
            workspace.play(bead, "implementer")
            tree = workspace.tree()
            reworked.append(bead)
        tips[bead] = tip = workspace.git("commit-tree", tree, "-p", tip, "-m", bead)
    return tips, reworked


def covered(story: Story, bead: str) -> None:
    """The plan names every acceptance criterion, error variant and postcondition."""
    answer = story.contract(bead)
    names = {name for item in answer["test_plan"] for name in item["covers"]}
    names |= {check["clause"] for check in answer["checks"]}
    wanted = {f"AC{number + 1}" for number in range(story.criteria[bead])}
    wanted |= {f"P{number + 1}" for number in range(len(answer["postconditions"]))}
    wanted |= set(answer["error_variants"])
    holds(names == wanted, f"{bead} covers {sorted(names)}, not {sorted(wanted)}")


def contract_is_red(story: Story, workspace: Workspace, bead: str) -> set[str]:
    """Play the contract on the checkout: planned tests or checks are red. What passes there."""
    passing, red = workspace.tests()
    holds(not red, f"{bead}: its base is red: {red}")
    workspace.play(bead, "test_writer")
    answer = story.contract(bead)
    planned = {item["id"] for item in answer["test_plan"]}
    if answer["kind"] == "check":
        results = [workspace.challenge(check["command"])[0] for check in answer["checks"]]
        expected = [check["expect"] for check in answer["checks"]]
        holds(results != expected, f"{bead}: its checks are green before the work")
        return passing
    green, red = workspace.tests(*answer["test_files"])
    holds(bool(red), f"{bead}: its tests are green before the work")
    holds(green <= planned, f"{bead}: {green - planned} is not in the plan")
    return passing


def work_is_green(story: Story, workspace: Workspace, bead: str, before: set[str]) -> None:
    """Play the implementation, twice: all that was planned passes, and all that passed before."""
    files = {name: (workspace.folder / name).read_text() for name in _test_files(story, bead)}
    workspace.play(bead, "implementer")
    tree = workspace.tree()
    workspace.play(bead, "implementer")
    holds(workspace.tree() == tree, f"{bead}: its work played again is other work")
    frozen = {name: (workspace.folder / name).read_text() for name in files}
    holds(frozen == files, f"{bead}: its work touches the frozen tests")
    holds(workspace.compiles(), f"{bead}: its work does not compile")
    planned = {item["id"] for item in story.contract(bead)["test_plan"]}
    green, red = workspace.tests()
    holds(not red, f"{bead}: red after the work: {red}")
    holds(green == before | planned, f"{bead}: {green ^ (before | planned)} is not as planned")
    for check in story.contract(bead)["checks"]:
        result, _ = workspace.challenge(check["command"])
        holds(result == check["expect"], f"{bead}: {check['command']} gives {result}")


def review_is_fair(story: Story, workspace: Workspace, bead: str, base: str, work: str) -> None:
    """The challenges pass on the work, and tell it from its base."""
    for challenge in _challenges(story, bead):
        workspace.at(base)
        before = workspace.challenge(challenge["command"])
        workspace.at(work)
        after = workspace.challenge(challenge["command"])
        holds(after[0] == challenge["expect"], f"{bead}: {challenge['command']} gives {after}")
        holds(before != after, f"{bead}: {challenge['command']} gives the same on the base")


def trouble_comes(story: Story, workspace: Workspace, bead: str, base: str, contract: str) -> str:
    """Play the first sessions of a bead and what follows: each goes wrong in its own way."""
    kinds = {trouble.kind: trouble.role for trouble in troubles() if trouble.bead == bead}
    for kind, role in kinds.items():
        start = base if role == "test_writer" else contract
        workspace.at(start)
        untouched = workspace.tree()
        played = workspace.play(bead, role, 1)
        happened = _what_happened(story, workspace, bead, played, untouched)
        holds(happened == kind, f"{bead}: {kind} was to come, and {happened} came")
        if kind == "done":
            continue
        if kind == "frozen":
            workspace.git("checkout", "-q", contract, "--", *_test_files(story, bead))
        if story.entry(bead, role, 1)["fixes"]:
            workspace.play_on(bead, role, 1)
        else:
            workspace.play(bead, role, 2)
        mended = workspace.tree()
        workspace.at(start)
        workspace.play(bead, role)
        holds(workspace.tree() == mended, f"{bead}: what follows the {kind} is not the work")
    return " ".join(kinds)


def _what_happened(
    story: Story, workspace: Workspace, bead: str, played: Played, untouched: str
) -> str:
    if played.ended != "end_turn":
        return played.ended
    if played.answer and played.answer.get("cannot") == "already_done":
        checks = [workspace.challenge(c["command"])[0] for c in played.answer["checks"]]
        return "done" if checks == [c["expect"] for c in played.answer["checks"]] else "undone"
    if workspace.tree() == untouched:
        return "empty"
    if played.answer and "kind" in played.answer:
        _, red = workspace.tests(*played.answer["test_files"])
        return "nothing" if red else "green"
    if workspace.git("diff", "--name-only", untouched, "--", *_test_files(story, bead)):
        return "frozen"
    _, red = workspace.tests()
    if red:
        return "wrong"
    survivors = [c for c in _challenges(story, bead) if _survives(workspace, c)]
    return "survivor" if survivors else "conflict"


def _survives(workspace: Workspace, challenge: Table) -> bool:
    return bool(workspace.challenge(challenge["command"])[0] != challenge["expect"])


def _test_files(story: Story, bead: str) -> list[str]:
    files: list[str] = story.contract(bead)["test_files"]
    return files


def _challenges(story: Story, bead: str) -> list[Table]:
    challenges: list[Table] = story.entry(bead, "reviewer")["steps"][-1]["answer"]["challenges"]
    return challenges


def prove(story: Story, workspace: Workspace, bead: str) -> str:
    """One bead from contract to review, on a base with what it waits for and nothing else.

    The kinds of trouble that came on the way; `Untrue` if something is not as told.
    """
    tips, _ = land(story, workspace, story.below(bead))
    base = [workspace.start, *tips.values()][-1]
    if bead in story.landing:
        covered(story, bead)
        workspace.at(base)
        before = contract_is_red(story, workspace, bead)
        contract = workspace.commit("contract")
        work_is_green(story, workspace, bead, before)
        review_is_fair(story, workspace, bead, base, workspace.commit("work"))
        return trouble_comes(story, workspace, bead, base, contract)
    return trouble_comes(story, workspace, bead, base, base)
