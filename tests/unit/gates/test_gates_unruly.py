"""Gates that will not behave: nothing of them is left, and nothing grows without a bound."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from gates_world import World

from oya.gates.runner import LOG_LIMIT
from oya.processes.port import BACKGROUND
from oya.processes.real import survivors

KITS = Path(__file__).parent.parent.parent
NEST = "import folders_kit; from pathlib import Path; folders_kit.nest(Path(sys.argv[2]))"


async def ci(world: World, line: str) -> str:
    """Run it as the ci gate; what its log says."""
    evidence = await world.gates(ci=(line,)).ci("a")
    assert evidence.ok
    return evidence.log.read_text()


async def test_a_daemon_that_a_gate_forks_ends_with_it(world: World) -> None:
    fork = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 60; done' >/dev/null 2>&1 &) &"
    await ci(world, f"{fork} wait; echo over")
    assert survivors(f"gates-test-{os.getpid()}") == []


async def test_of_a_gigabyte_of_output_head_and_tail_are_kept(world: World) -> None:
    said = await ci(
        world,
        "echo first; head -c 1000000000 /dev/zero | tr '\\0' x; echo;grep VmHWM /proc/$PPID/status",
    )
    *_, last = said.splitlines()
    assert said.startswith("first\n")
    assert "bytes cut here" in said
    assert len(said) < LOG_LIMIT + 1000
    assert last.startswith("VmHWM")
    assert int(last.split()[1]) < 64_000  # KiB, of the guard


async def test_a_run_has_a_temporary_folder_of_its_own_that_goes_with_it(world: World) -> None:
    said = await ci(world, 'echo "$TMPDIR"; ls -A "$TMPDIR"; head -c 9000000 /dev/zero >$TMPDIR/x')
    folder = world.root / "a.tmp"
    assert said == f"{folder}\n"
    assert not folder.exists()


async def test_what_is_locked_away_in_there_goes_too(world: World) -> None:
    await ci(world, "mkdir -p $TMPDIR/a/b/c; chmod 0 $TMPDIR/a/b $TMPDIR/a $TMPDIR")
    assert not (world.root / "a.tmp").exists()


async def test_folders_in_folders_without_an_end_go_too(world: World) -> None:
    nest_ = f"{sys.executable} -c 'import sys; sys.path.insert(0, sys.argv[1]); {NEST}'"
    await ci(world, f"{nest_} {KITS} $TMPDIR && {nest_} {KITS} {world.logs}/*.reports")
    assert not (world.root / "a.tmp").exists()
    assert [path.suffix for path in world.logs.iterdir()] == [".log"]


async def test_a_link_in_its_place_leads_nowhere(world: World) -> None:
    (world.root / "mine").mkdir()
    (world.root / "mine" / "file").write_text("mine")
    await ci(world, f"rmdir $TMPDIR; ln -s {world.root}/mine $TMPDIR")
    assert (world.root / "mine" / "file").read_text() == "mine"
    assert not (world.root / "a.tmp").is_symlink()


async def test_a_cancelled_run_leaves_no_temporary_folder(world: World) -> None:
    started = world.root / "started"
    gates = world.gates(ci=(f"touch $TMPDIR/x {started}; sleep 60",))
    run = asyncio.create_task(gates.ci("a"))
    while not started.exists():
        await asyncio.sleep(0.01)
    run.cancel()
    await asyncio.wait((run,))
    assert not (world.root / "a.tmp").exists()


async def test_gates_leave_the_machine_to_whoever_sits_at_it(world: World) -> None:
    own = os.nice(0)
    assert await ci(world, "nice") == f"{min(own + BACKGROUND, 19)}\n"
