"""Reviewed beads are stacked and proven, and what is green lands: real git, real gates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from swarm_kit import World, issue, needs

from oya.errors import GitError
from oya.gates.model import EXIT_ONLY
from oya.lifecycle import events as e
from oya.lifecycle.model import Check, Hold
from oya.swarm.config import Settings
from oya.swarm.landing import LATER_LIMIT, RED_AGAIN
from oya.swarm.messages import BaseIsRed
from oya.swarm.story import sentence


async def test_the_most_urgent_lands_first_each_on_the_one_before(
    own_git: None, tmp_path: Path
) -> None:
    issues = (issue("a"), issue("b", priority=0))
    async with World.at(tmp_path, issues=issues) as world:
        await world.reviewed("a", {"x.txt": "x\n"})
        await world.reviewed("b", {"y.txt": "y\n"})
        async with world.landing():
            last = await world.until("a", "landed/complete")
        assert world.git("rev-parse", f"{last.commit}~1") == world.state("b").commit


async def test_no_more_than_the_target_lands(world: World) -> None:
    await world.store.swarms.update(
        "swarm-1", lambda s: replace(s, target_beads=1), event="swarm_changed"
    )
    await world.reviewed("a", {"x.txt": "x\n"})
    await world.reviewed("b", {"y.txt": "y\n"})
    async with world.landing():
        await world.until("a", "landed/complete")
        await world.sync()
        await world.look()
        await world.sync()
    assert world.state("b").where == "landing/pending"
    assert await world.said("landing_started") == [None]


async def test_only_the_beads_that_were_asked_for_land(world: World) -> None:
    await world.reviewed("a", {"x.txt": "x\n"})
    await world.reviewed("b", {"y.txt": "y\n"})
    async with world.landing(frozenset({"b"})):
        await world.until("b", "landed/complete")
        await world.sync()
    assert world.state("a").where == "landing/pending"


class TestWhatGoesBack:
    async def test_a_conflict_is_rework_on_the_new_base(self, world: World) -> None:
        await world.reviewed("a", {"a.txt": "mine\n"})
        world.commit({"a.txt": "theirs\n"})
        async with world.landing():
            state = await world.until("a", "implementation/pending")
        assert state.rework
        assert "a.txt" in state.findings[0]
        assert (state.retry_count, state.rebases) == (0, 1)

    async def test_a_conflict_that_the_users_merge_driver_resolves_lands(
        self, world: World
    ) -> None:
        world.commit({".gitattributes": "a.txt merge=union\n"})
        await world.line.refresh()
        await world.reviewed("a", {"a.txt": "mine\n"})
        world.commit({"a.txt": "theirs\n"})
        async with world.landing():
            state = await world.until("a", "landed/complete")
        assert world.git("show", f"{state.commit}:a.txt") == "theirs\nmine"
        (landed,) = [r for r in await world.store.events.since(0) if r.event == "landed"]
        assert landed.data["helped"] == ["a.txt by the merge driver union"]
        note = json.loads(world.git("notes", "--ref=oya", "show", str(state.commit)))
        assert note["helped"] == landed.data["helped"]
        assert sentence(landed).endswith(" merged: a.txt by the merge driver union.")

    async def test_how_rework_resolved_a_conflict_is_remembered_once_it_has_landed(
        self, world: World
    ) -> None:
        first = await world.reviewed("a", {"a.txt": "mine\n"})
        theirs = world.commit({"a.txt": "theirs\n"})
        repo = world.repo
        async with world.landing():
            await world.until("a", "implementation/pending")
            merged = await repo.merge_tree(theirs, first)
            assert (await repo.help_merge(theirs, first, merged, landed=theirs)) == merged
            await world.reworked("a", first, {"a.txt": "both\n"})
            await world.look()
            await world.until("a", "landed/complete")
            await world.idle()
        found = await repo.help_merge(theirs, first, merged, landed=theirs)
        assert found.helped == ("a.txt as it was resolved for a",)
        assert await repo.read_file(found.tree, "a.txt") == b"both\n"
        assert [key for key, _ in await world.store.checkpoints.all() if "conflict" in key] == []

    async def test_a_contract_that_began_anew_has_resolved_nothing(self, world: World) -> None:
        first = await world.reviewed("a", {"a.txt": "mine\n"}, test_files=("a.txt",))
        theirs = world.commit({"a.txt": "theirs\n"})
        async with world.landing():
            await world.until("a", "contract/pending")
            await world.reviewed("a", {"a.txt": "another\n"})
            await world.look()
            await world.until("a", "landed/complete")
            await world.idle()
        merged = await world.repo.merge_tree(theirs, first)
        assert (await world.repo.help_merge(theirs, first, merged, landed=theirs)) == merged

    async def test_a_conflict_in_the_contracts_files_is_the_contracts(self, world: World) -> None:
        await world.reviewed("a", {"a.txt": "mine\n"}, test_files=("a.txt",))
        world.commit({"a.txt": "theirs\n"})
        async with world.landing():
            await world.until("a", "contract/pending")

    async def test_red_on_the_new_base_is_rework_with_the_output(
        self, own_git: None, tmp_path: Path
    ) -> None:
        ci = "! test -e one.txt || ! test -e two.txt || ! echo they quarrel"
        async with World.at(tmp_path, ci=ci) as world:
            await world.reviewed("a", {"one.txt": "x\n"})
            await world.reviewed("b", {"two.txt": "x\n"})
            async with world.landing():
                state = await world.until("b", "implementation/pending")
            assert world.state("a").where == "landed/complete"
            assert "they quarrel" in state.findings[0]
            assert world.git("ls-tree", "--name-only", world.line.ref, "two.txt") == ""
            assert world.git("for-each-ref", "refs/oya/candidates") == ""

    async def test_a_check_that_does_not_hold_on_the_candidate(self, world: World) -> None:
        await world.reviewed("a", {"x.txt": "x\n"}, Check("test -e y.txt", 0, "AC1"))
        async with world.landing():
            state = await world.until("a", "implementation/pending")
        assert "test -e y.txt" in state.findings[0]

    async def test_over_max_rebases_it_has_failed(self, own_git: None, tmp_path: Path) -> None:
        async with World.at(tmp_path, more="[landing]\nmax_rebases = 0") as world:
            await world.reviewed("a", {"red.txt": "x\n"})
            async with world.landing():
                await world.until("a", "landing/failed")


async def test_red_and_then_green_is_flaky_and_its_evidence_is_the_green_run(
    own_git: None, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    ci = f"test ! -e flaky.txt || test -e {ran} || ! touch {ran}"
    async with World.at(tmp_path, ci=ci) as world:
        await world.reviewed("a", {"flaky.txt": "x\n"})
        async with world.landing():
            state = await world.until("a", "landed/complete")
        assert len(await world.said("flaky")) == 1
        note = json.loads(world.git("notes", "--ref=oya", "show", str(state.commit)))
        assert [row["ok"] for row in note["evidence"]] == [True] * 3


async def test_its_own_flaky_test_keeps_a_bead_from_landing_behind_another_red_gate_too(
    own_git: None, tmp_path: Path
) -> None:
    ran, also = tmp_path / "ran", tmp_path / "also"
    ci = f"test ! -e flaky.txt || test -e {ran} || ! touch {ran}"
    quick = f'quick = ["test ! -e flaky.txt || test -e {also} || ! touch {also}"]'
    async with World.at(tmp_path, ci=ci, more=quick) as world:
        about = {"kind": "behaviour", "fail_to_pass": (EXIT_ONLY,)}
        await world.reviewed("a", {"flaky.txt": "x\n"}, **about)
        async with world.landing():
            await world.until("a", "implementation/pending")
        assert len(await world.said("flaky")) == 1
        assert await world.said("landed") == []


async def test_a_target_that_is_lowered_while_the_gates_run_is_not_exceeded(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})

    async def lower() -> None:
        await world.store.swarms.update(
            "swarm-1", lambda s: replace(s, target_beads=0), event="swarm_changed"
        )

    world.before_ci(lower)
    async with world.landing():
        await world.wait(lambda: world.state("a").where == "landing/in_progress")
        await world.until("a", "landing/pending")
    assert await world.said("landing_left") == ["the target was lowered, and is reached"]


async def test_on_a_red_base_nothing_is_blamed_or_tried_again_before_it_moves(
    world: World,
) -> None:
    await world.reviewed("a", {"x.txt": "x\n"})
    world.commit({"red.txt": "by the user\n"})
    async with world.landing():
        await world.wait(lambda: any(isinstance(m, BaseIsRed) for m in world.told))
        await world.until("a", "landing/pending")
        await world.look()
        await world.sync()
        assert len(await world.said("landing_started")) == 1
        world.git("rm", "-q", "red.txt")
        world.commit({}, "green again")
        await world.look()
        state = await world.until("a", "landed/complete")
    assert state.rebases == 0


async def test_a_red_base_is_tried_again_after_a_quarter_of_an_hour(world: World) -> None:
    await world.reviewed("a", {"x.txt": "x\n"})
    world.commit({"red.txt": "by the user\n"})
    async with world.landing():
        await world.wait(lambda: any(isinstance(m, BaseIsRed) for m in world.told))
        await world.until("a", "landing/pending")
        world.clock.ahead += RED_AGAIN
        await world.look()
        await world.wait(lambda: len([m for m in world.told if isinstance(m, BaseIsRed)]) == 2)


class TestWhatOtherSettingsHaveReviewed:
    async def test_it_waits_for_a_person_where_those_of_now_hold_it(self, world: World) -> None:
        """The base has moved meanwhile, by a file that is protected too."""
        await world.reviewed("a", {"x.txt": "x\n", "db.sql": "x\n"})
        await world.reviewed("b", {"y.txt": "y\n"})
        world.commit({"other.sql": "x\n"})
        world.parts.settings = settings_with(world, landing={"protected": ["*.sql"]})
        async with world.landing():
            await world.until("b", "landed/complete")
            state = await world.until("a", "landing/held")
            assert state.reason == "waits for oya approve (protected): changes db.sql"
            (row,) = [r for r in await world.store.events.since(0) if r.event == "withheld"]
            assert sentence(row) == (
                "The settings of now hold it. It waits for a person: protected (changes db.sql)."
            )
            await world.parts.apply("a", e.Approved())
            await world.look()
            await world.until("a", "landed/complete")

    async def test_continuous_deployment_that_was_turned_off_holds_all(self, world: World) -> None:
        for bead in "ab":
            await world.reviewed(bead, {f"{bead}.txt": "x\n"})
        world.parts.settings = settings_with(world, continuous_deployment={"enabled": False})
        async with world.landing():
            for bead in "ab":
                assert (await world.until(bead, "landing/held")).hold is Hold.APPROVAL
        assert await world.said("landing_started") == []


def settings_with(world: World, **sections: dict[str, Any]) -> Settings:
    plain = world.parts.settings.model_dump(by_alias=True)
    return Settings.model_validate({**plain, **{k: {**plain[k], **v} for k, v in sections.items()}})


class TestSomethingBesideTheTree:
    """Gates need a file outside of the repository, as others need a service or a certificate."""

    OWN: ClassVar = {"kind": "behaviour", "fail_to_pass": (EXIT_ONLY,)}

    async def test_what_is_gone_is_the_bases_though_it_was_green(
        self, own_git: None, tmp_path: Path
    ) -> None:
        service = tmp_path / "service"
        service.touch()
        async with World.at(tmp_path, ci=f"test -e {service} || ! echo gone") as world:
            for bead, own in (("a", self.OWN), ("b", {})):
                await world.reviewed(bead, {f"{bead}.txt": "x\n"}, **own)
            assert await world.parts.base_red(world.line.base) == []
            service.unlink()
            async with world.landing():
                said = await world.hears(BaseIsRed)
                await world.until("a", "landing/pending")
                await world.until("b", "landing/pending")
            assert said.reason == (
                f"the base {world.line.base[:9]} is red: ci: gone; "
                "it was green before, so it is something beside the repository"
            )
            assert await world.said("landing_conflicted") == []

    @pytest.mark.parametrize("own", [OWN, {}], ids=["its own test", "the rest"])
    async def test_what_is_back_makes_good_what_was_red_without_it(
        self, own_git: None, tmp_path: Path, own: dict[str, Any]
    ) -> None:
        service = tmp_path / "service"
        async with World.at(tmp_path, ci=f"test -e {service}") as world:
            await world.reviewed("a", {"x.txt": "x\n"}, **own)
            async with world.landing():
                await world.hears(BaseIsRed)
                await world.until("a", "landing/pending")
                service.touch()
                world.clock.ahead += RED_AGAIN
                await world.look()
                await world.until("a", "landed/complete")
            assert await world.said("flaky") == []
            assert await world.said("landing_conflicted") == []

    async def test_nobody_asks_the_base_where_another_tree_was_green_since(
        self, own_git: None, tmp_path: Path
    ) -> None:
        async with six(tmp_path, TOP, noting(tmp_path, "! test -e c")) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.until("c", "implementation/pending")
                await world.until("d", "landed/complete")
            ran = (tmp_path / "judged").read_text().split()
            assert ran.count(".") == 1, "for what passes on it"


TOP = '[landing]\nprove = "top"\nbatch = 4'


def six(tmp_path: Path, more: str, ci: str) -> Any:
    """A world with beads a to f."""
    return World.at(tmp_path, more=more, ci=ci, issues=tuple(issue(bead) for bead in "abcdef"))


async def judged(world: World) -> list[str]:
    """The files of letters in each tree that ci has judged, in order; the base has none."""
    return [one for one in (world.folder.parent / "judged").read_text().split() if one != "."]


def noting(tmp_path: Path, red: str) -> str:
    """A ci that writes down which files of letters there are, and is red on `red`."""
    letters = "$(ls | grep -x '[a-f]' | tr -d '\\\\n')"
    return f"echo {letters}. >> {tmp_path}/judged; {red}"


async def test_a_tree_that_was_judged_before_landing_is_not_judged_again(
    own_git: None, tmp_path: Path
) -> None:
    """The candidate is another commit, and closes the bead; what is judged is the same tree."""
    async with six(tmp_path, TOP, noting(tmp_path, "true")) as world:
        head = await world.reviewed("a", {"a": "x\n"})
        await world.parts.gates.ci(head, base=world.line.base)
        async with world.landing():
            state = await world.until("a", "landed/complete")
            assert await judged(world) == ["a."]
            assert world.git("rev-parse", f"{state.commit}^{{tree}}") != world.git(
                "rev-parse", f"{head}^{{tree}}"
            )
            await world.reviewed("b", {"b": "x\n"})
            await world.until("b", "landed/complete")
        assert await judged(world) == ["a.", "ab."], "another tree, another run"


class TestABatch:
    async def test_with_prove_top_one_run_lands_all(self, own_git: None, tmp_path: Path) -> None:
        async with six(tmp_path, TOP, noting(tmp_path, "true")) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                top = await world.until("d", "landed/complete")
            assert await judged(world) == ["abcd."]
            commits = world.git("rev-list", "--reverse", f"{world.state('a').commit}~1..main")
            assert commits.splitlines() == [world.state(bead).commit for bead in "abcd"]
            landed = [r for r in await world.store.events.since(0) if r.event == "landed"]
            assert [r.data.get("proven") for r in landed] == [top.commit] * 3 + [None]
            assert world.landings() == 4

    async def test_the_guilty_one_goes_back_and_the_rest_lands(
        self, own_git: None, tmp_path: Path
    ) -> None:
        async with six(tmp_path, TOP, noting(tmp_path, "! test -e c")) as world:
            for bead in "abcdef":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                state = await world.until("c", "implementation/pending")
                await world.wait(lambda: world.state("f").where == "landed/complete")
            assert state.base == world.state("b").commit, "it is reworked on what has landed"
            # Halved twice; the same was seen on two trees, so nothing is run once more. The
            # batch on top may have begun meanwhile, and is of no use.
            ran = sorted(one for one in await judged(world) if one != "abcdef.")
            assert ran == sorted(["abcd.", "ab.", "abc.", "abdef."])

    @pytest.mark.parametrize(
        ("seconds", "prove", "where"),
        [
            (299.0, "top", "landing/in_progress"),
            (301.0, "top", "landing/pending"),
            (301.0, "all", "landing/in_progress"),
        ],
    )
    async def test_the_top_of_a_batch_leaves_a_slot_to_others_where_ci_is_slow(
        self, own_git: None, tmp_path: Path, seconds: float, prove: str, where: str
    ) -> None:
        begun, go = tmp_path / "begun", tmp_path / "go"
        ci = f"touch {begun}; until test -e {go}; do sleep 0.02; done"
        more = f'slots = 2\n[landing]\nprove = "{prove}"\nbatch = {1 if prove == "top" else 8}'
        async with World.at(tmp_path, more=more, ci=ci) as world:
            world.parts.meter.know("ci", [seconds])
            for bead in "ab":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.wait(begun.exists)
                assert (world.state("a").where, world.state("b").where) == (
                    "landing/in_progress",
                    where,
                )
                go.touch()
                await world.until("b", "landed/complete")

    async def test_with_prove_all_every_commit_is_judged(
        self, own_git: None, tmp_path: Path
    ) -> None:
        more = '[landing]\nprove = "all"'
        async with six(tmp_path, more, noting(tmp_path, "true")) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.until("d", "landed/complete")
            assert sorted(await judged(world)) == ["a.", "ab.", "abc.", "abcd."]

    async def test_two_that_quarrel_only_together_are_told_apart(
        self, own_git: None, tmp_path: Path
    ) -> None:
        ci = noting(tmp_path, "! test -e b || ! test -e d")
        async with six(tmp_path, TOP, ci) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.until("d", "implementation/pending")
            assert [world.state(bead).where for bead in "abc"] == ["landed/complete"] * 3

    @pytest.mark.parametrize("prove", ["top", "all"])
    async def test_a_ci_that_looks_at_changes_alone_sees_those_of_every_bead(
        self, own_git: None, tmp_path: Path, prove: str
    ) -> None:
        """Its base is the commit below the batch, also where a part of that has landed since."""
        ci = "! git diff --name-only $OYA_BASE $OYA_HEAD | grep -qx c"
        more = f'history = true\n[landing]\nprove = "{prove}"\nbatch = 4'
        async with six(tmp_path, more, ci) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                state = await world.until("c", "implementation/pending")
                await world.until("d", "landed/complete")
            assert [world.state(bead).where for bead in "ab"] == ["landed/complete"] * 2
            assert world.git("ls-tree", "--name-only", "main", "c") == ""
            assert "red on" in (await world.said("landing_conflicted"))[0], state.findings

    async def test_no_more_than_the_target_is_stacked(self, own_git: None, tmp_path: Path) -> None:
        async with six(tmp_path, TOP, noting(tmp_path, "true")) as world:
            await world.store.swarms.update(
                "swarm-1", lambda s: replace(s, target_beads=2), event="swarm_changed"
            )
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.until("b", "landed/complete")
                await world.sync()
            assert await judged(world) == ["ab."]
            assert [world.state(bead).where for bead in "cd"] == ["landing/pending"] * 2

    async def test_one_that_does_not_fit_on_the_others_waits_for_them(
        self, own_git: None, tmp_path: Path
    ) -> None:
        async with six(tmp_path, TOP, noting(tmp_path, "true")) as world:
            await world.reviewed("a", {"same": "by a\n", "a": "x\n"})
            await world.reviewed("b", {"same": "by b\n", "b": "x\n"})
            await world.reviewed("c", {"c": "x\n"})
            async with world.landing():
                state = await world.until("b", "implementation/pending")
                await world.until("c", "landed/complete")
            assert state.base == world.state("c").commit, "not on what had not landed"
            assert await judged(world) == ["ac."]

    async def test_one_that_was_changed_in_the_tracker_leaves_it(
        self, own_git: None, tmp_path: Path
    ) -> None:
        async def change() -> None:
            others = (issue(bead) for bead in "acdef")
            world.backlog(*others, issue("b", title="Else"))
            await world.tracking.refresh()

        async with six(tmp_path, TOP, noting(tmp_path, "true")) as world:
            for bead in "abc":
                await world.reviewed(bead, {bead: "x\n"})
            world.before_ci(change)
            async with world.landing():
                await world.until("c", "landed/complete")
                await world.tracking.refresh()
            assert world.state("b").where == "contract/pending"
            assert world.git("ls-tree", "--name-only", "main", "b") == ""


class TestASuspect:
    async def test_a_flaky_one_does_not_hold_up_the_rest_twice(
        self, own_git: None, tmp_path: Path
    ) -> None:
        """Red first on any tree with it, green from then on; others go by it once."""
        ran = tmp_path / "ran"
        red = f"! test -e a || test -e {ran} || ! touch {ran}"
        async with six(tmp_path, "", noting(tmp_path, red)) as world:
            for bead in "abcd":
                await world.reviewed(bead, {bead: "x\n"})
            async with world.landing():
                await world.until("a", "landed/complete")
                await world.until("d", "landed/complete")
            assert len(await world.said("flaky")) == 1
            assert world.state("a").rebases == 0


class TestWhileTheGatesRun:
    async def test_a_commit_of_the_users_is_built_upon_and_nothing_forks(
        self, world: World
    ) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        world.before_ci(lambda: void(world.commit({"mine.txt": "x\n"})))
        async with world.landing():
            state = await world.until("a", "landed/complete")
        mine = world.git("rev-parse", f"{state.commit}~1")
        assert world.git("log", "-1", "--format=%s", mine) == "by the user"
        assert await world.said("landing_left") == ["the base moved"]
        assert (state.rebases, world.line.diverged) == (0, False)

    @pytest.mark.parametrize(
        ("fields", "where"),
        [({"status": "closed"}, "landing/removed"), ({"title": "Else"}, "contract/pending")],
    )
    async def test_a_change_in_the_tracker_keeps_the_bead_from_landing(
        self, world: World, fields: dict[str, str], where: str
    ) -> None:
        async def change() -> None:
            world.backlog(issue("a", **fields), issue("b"))
            await world.tracking.refresh()

        await world.reviewed("a", {"new.txt": "x\n"})
        world.before_ci(change)
        async with world.landing():
            await world.until("a", "landing/in_progress")
            await world.until("a", "landing/pending")
            await world.tracking.refresh()
            assert world.state("a").where == where
        assert world.git("rev-parse", world.line.ref) == world.git("rev-parse", "main")


class TestTrouble:
    async def test_what_did_not_fit_on_others_is_tried_without_them_after_an_outage(
        self, world: World
    ) -> None:
        await world.reviewed("a", {"same.txt": "by a\n"})
        await world.reviewed("b", {"same.txt": "by b\n"})
        refresh = world.line.refresh

        async def fail(*, now: bool = False) -> None:
            raise GitError("git is gone")

        def an_outage() -> None:
            world.line.refresh = fail  # type: ignore[method-assign]

        world.before_ci(an_outage)
        async with world.landing():
            await world.until("a", "landing/in_progress")
            await world.until("a", "landing/pending")
            await world.parts.apply("a", e.HeldByPerson("not yet"))
            world.line.refresh = refresh  # type: ignore[method-assign]
            await world.look()
            await world.until("b", "landed/complete")

    async def test_what_keeps_one_bead_does_not_keep_the_next(self, world: World) -> None:
        await world.reviewed("a", {"x.txt": "x\n"})
        await world.reviewed("b", {"y.txt": "y\n"})

        def fail() -> None:
            raise GitError("the disk is full")

        world.before_ci(fail)
        async with world.landing():
            await world.until("b", "landed/complete")
            assert (await world.said("landing_left"))[0] == "the disk is full"
            world.clock.ahead += LATER_LIMIT
            await world.look()
            await world.until("a", "landed/complete")

    async def test_what_keeps_the_only_one_is_no_crash(self, world: World) -> None:
        await world.reviewed("a", {"x.txt": "x\n"})

        def fail() -> None:
            raise GitError("the disk is full")

        world.before_ci(fail)
        async with world.landing():
            await world.until("a", "landing/in_progress")
            await world.until("a", "landing/pending")
            await world.idle()
            world.clock.ahead += LATER_LIMIT
            await world.look()
            await world.until("a", "landed/complete")


async def test_a_blocked_bead_waits(world: World) -> None:
    await world.reviewed("a", {"x.txt": "x\n"})
    world.backlog(issue("a", dependencies=needs("b")), issue("b"))
    await world.tracking.refresh()
    async with world.landing():
        await world.sync()
    assert world.state("a").where == "landing/pending"
    assert await world.said("landing_started") == []


async def test_a_person_who_holds_it_first_keeps_it(world: World) -> None:
    await world.reviewed("a", {"x.txt": "x\n"})
    await world.parts.apply("a", e.HeldByPerson("not yet"))
    async with world.landing():
        await world.sync()
    assert world.state("a").where == "landing/held"


def void(_: object) -> None:
    return None
