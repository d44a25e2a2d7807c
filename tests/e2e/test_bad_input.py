"""What a real start makes of bad input: the exit code, the words, and nothing changed.

The words for a mistyped command or configuration are tested in tests/unit/cli and
tests/unit/swarm; here is what needs a real repository, state, disk or daemon.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.user import PROGRAM, Said, User, ended, picture, write
from kit.words import Stage, backlog, bead, words

from oya.store.beside import Position
from oya.store.sequence import SequenceFile

Break = Callable[[User, Path], Path]


def refused(said: Said, code: int, *told: str) -> None:
    """That exit code and these words on stderr, and no traceback."""
    assert said.code == code, said
    for part in told:
        assert part in said.err, said
    assert said.err.startswith(("oya: ", "Warning: ")), said
    assert "Traceback" not in said.both


def old_git(user: User, root: Path) -> Path:
    """A git on PATH that is older than its name."""
    git = user.folder / "bin" / "git"
    write(
        git.parent,
        {
            "git": f"""\
#!/bin/sh
for word in "$@"; do
  if [ "$word" = version ] || [ "$word" = --version ]; then echo git version 2.37.9; exit; fi
done
exec {shutil.which("git")} "$@"
"""
        },
    )
    git.chmod(git.stat().st_mode | stat.S_IXUSR)
    user.extra["PATH"] = f"{git.parent}:{user.env['PATH']}"
    return root


def shallow(user: User, root: Path) -> Path:
    user.git(root, "commit", "-q", "--allow-empty", "-m", "Again")
    return cloned(user, root, "--depth=1")


def partial(user: User, root: Path) -> Path:
    user.git(root, "config", "uploadpack.allowFilter", "true")
    return cloned(user, root, "--filter=blob:none")


def cloned(user: User, root: Path, option: str) -> Path:
    clone = user.folder / "clone"
    user.git(user.folder, "clone", "-q", option, f"file://{root}", str(clone))
    return clone


def submodule(user: User, root: Path) -> Path:
    head = user.git(root, "rev-parse", "HEAD")
    user.git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},vendor/other")
    user.git(root, "commit", "-q", "-m", "Take in another")
    return root


def lfs(user: User, root: Path) -> Path:
    write(root, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    user.git(root, "add", ".gitattributes")
    user.git(root, "commit", "-q", "-m", "Large files")
    return root


def exported(user: User, root: Path) -> Path:
    """A database of bd beside its export."""
    (root / ".beads/beads.db").touch()
    return root


def broken_line(user: User, root: Path) -> Path:
    with (root / ".beads/issues.jsonl").open("a") as file:
        file.write('{"id": "w-2", "title": }\n')
    return root


def configured(add: str) -> Break:
    def change(user: User, root: Path) -> Path:
        with (root / ".oya/swarm.toml").open("a") as file:
            file.write(add)
        return root

    return change


def no_command(user: User, root: Path) -> Path:
    path = root / ".oya/swarm.toml"
    path.write_text(path.read_text().replace('["sh", ', '["no-such-agent", '))
    return root


def long_socket(user: User, root: Path) -> Path:
    """Neither the runtime folder nor the temporary one has room for a socket."""
    long = user.folder / ("a-long-name" * 10)
    long.mkdir()
    user.extra |= {"XDG_RUNTIME_DIR": str(long), "TMPDIR": str(long)}
    return root


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (old_git, ("git is too old", "2.37.9", "2.38")),
        (shallow, ("shallow", "git fetch --unshallow")),
        (partial, ("partial clone", "git clone URL")),
        (submodule, ("submodules", "vendor/other")),
        (lfs, ("Git LFS",)),
        (exported, ("beads.db", 'kind = "beads-jsonl"')),
        (broken_line, ("line 2, column 24",)),
        (
            configured('[review]\nrounds = "two"\n[landing]\nbranhc = "x"\n'),
            ("`review.rounds` must be a whole number", "did you mean `landing.branch`?"),
        ),
        (
            configured('[landing]\nremote = "origin"\n'),
            ("`landing.remote`", "there is no remote origin"),
        ),
        (no_command, ("`no-such-agent` is not found", "[backends.shell] command")),
        (long_socket, ("socket is too long", "XDG_RUNTIME_DIR")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_start_is_refused_and_changes_nothing(
    user: User, broken: Break, told: tuple[str, ...]
) -> None:
    root = broken(user, words(user, "w-1"))
    before = picture(user.folder, user.runtime)
    said = user.oya(root, "swarm", "--target", "1")
    refused(said, 2, *told)
    assert said.out == ""
    assert "Nothing was" in said.err, "it says what is safe"
    assert picture(user.folder, user.runtime) == before


def test_a_red_base_is_named_and_nothing_is_claimed(user: User, stage: Stage) -> None:
    root = words(user, "w-1")
    write(root, {"words/begin.txt": ""})
    user.git(root, "commit", "-q", "-am", "Break it")
    main = user.git(root, "rev-parse", "main")
    said = user.oya(root, "swarm")
    refused(said, 1, "is red: ", "words/begin.txt is empty", "Nothing was claimed", "oya doctor")
    status = user.oya(root, "swarm", "status", "--format", "json").json
    assert status["status"] == "failed"
    assert (status["beads"]["pending"], status["beads"]["in_progress"]) == (1, 0)
    assert user.git(root, "rev-parse", "main") == main
    assert user.git(root, "status", "--porcelain") == ""
    assert not list(stage.folder.glob("prompt-*")), "no agent was asked anything"

    doctor = user.oya(root, "doctor")
    assert doctor.code == 1
    assert "words/begin.txt is empty" in doctor.out


def test_a_state_that_is_damaged_or_newer_is_left_alone(user: User) -> None:
    root = words(user, "w-1")
    assert user.oya(root, "doctor").code == 0
    state = root / ".git/oya"
    file = SequenceFile.load(state / "sequence", sync=False)
    was = file.position
    for position, told in (
        (Position(was.seq, was.group, was.schema + 1), "this oya knows"),
        (Position(was.seq + 7, was.group + 7, was.schema), "damaged"),
    ):
        file.write(position)
        kept = picture(state / "data")
        refused(user.oya(root, "swarm"), 1, told)
        assert picture(state / "data") == kept
        assert user.git(root, "for-each-ref", "refs/oya") == ""
    refused(user.oya(root, "beads"), 1, "damaged")
    file.close()


def test_a_process_that_holds_the_state_and_is_silent_is_exit_6(user: User) -> None:
    root = words(user, "w-1")
    assert user.oya(root, "doctor", "--quick").code == 0
    state = root / ".git/oya"
    state.mkdir(exist_ok=True)
    (state / "sequence").touch()
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [user.start(root, "swarm"), user.start(root, "approve", "w-1")]
        for said in [ended(one) for one in both]:
            refused(said, 6, "held by" if "held by" in said.err else "holds the state")
            assert "is kept" in said.err or "Nothing was started" in said.err


def test_doctor_asks_the_remote(user: User) -> None:
    root = words(user, "w-1", more='[landing]\nremote = "origin"\n')

    def asked(words: str) -> int:
        said = user.oya(root, "doctor", "--quick")
        assert words in said.out, said
        return said.code

    assert asked("there is no remote origin") == 2
    user.git(root, "init", "-q", "--bare", "../up.git")
    user.git(root, "remote", "add", "origin", "../up.git")
    assert asked("origin has no branch main") == 2
    user.git(root, "push", "-q", "origin", "main")
    assert asked("origin answers, and has main") == 0
    user.git(root, "remote", "set-url", "origin", "../gone.git")
    assert asked("nothing lands until it answers") == 0


def test_a_read_only_disk(user: User) -> None:
    """A mount of one's own, which not even root can write to."""
    try:
        subprocess.run(["unshare", "-rm", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no mount namespaces here, so no disk can be made read-only")
    root = words(user, "w-1")
    before = picture(user.folder)
    mounted = (
        f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && "
        f"cd {root} && exec {PROGRAM} "
    )

    def typed(command: str) -> Said:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", mounted + command],
            env=user.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    refused(typed("swarm"), 2, "cannot write to", "Read-only file system", "Nothing was changed")
    assert typed("swarm --dry-run").code == 0
    assert typed("beads").code == 0
    doctor = typed("doctor --quick")
    assert (doctor.code, "cannot be written" in doctor.out) == (1, True), doctor
    assert picture(user.folder) == before


def test_warnings_that_work_goes_on_with(user: User, stage: Stage) -> None:
    root = words(user, "w-1", target=9)
    rows = (
        bead("w-1", dependencies=[{"depends_on_id": "gone-7", "type": "blocks"}]),
        bead("w-2", dependencies=[{"depends_on_id": "w-3", "type": "blocks"}]),
        bead("w-3", dependencies=[{"depends_on_id": "w-2", "type": "blocks"}]),
        bead("w-4", issue_type="wish"),
        bead("w-5", issue_type="wish"),
    )
    write(root, {".beads/issues.jsonl": backlog(*rows)})
    user.git(root, "commit", "-q", "-am", "Plan")
    write(root, {"check.sh": (root / "check.sh").read_text() + "# mine\n"})
    main = user.git(root, "rev-parse", "main")

    said = user.oya(root, "swarm")
    assert said.code == 3, said  # the cycle waits for a person
    for told in (
        "uncommitted changes (check.sh): main will not be moved",
        "Target 9 capped at 3",
        "w-1 depends on gone-7",
        "2 beads of type wish are not claimed",
        "w-2  waits for w-3",
    ):
        assert told in said.both, f"{told}: {said}"
    assert "w-2 → w-3 → w-2" in said.both or "w-3 → w-2 → w-3" in said.both, said
    assert "main is 1 behind: oya sync" in said.out

    assert user.git(root, "rev-parse", "main") == main
    assert user.git(root, "status", "--porcelain") == " M check.sh"
    blocked = user.oya(root, "sync")
    assert blocked.code == 1
    assert "main is 1 behind" in blocked.out
    assert "Once that is out of the way: oya sync" in blocked.out
    assert "check.sh" in blocked.out
    user.git(root, "checkout", "-q", "check.sh")
    assert "main has everything that landed" in user.oya(root, "sync").out
    assert "Bead: w-1" in user.git(root, "log", "-1", "--format=%B", "main")
    rows_now = [json.loads(line) for line in (root / ".beads/issues.jsonl").open()]
    assert [row["status"] for row in rows_now] == ["closed", *["open"] * 4]


def test_a_backend_whose_program_fails_is_reported_with_what_it_said(
    user: User, stage: Stage
) -> None:
    root = words(user, "w-1")
    (user.folder / "agent.sh").unlink()
    said = user.oya(root, "swarm")
    assert said.code == 3, said
    for told in (user.oya(root, "why", "w-1"), user.oya(root, "show", "w-1")):
        assert "without an answer" in told.out, told
        assert "agent.sh" in told.out, told
