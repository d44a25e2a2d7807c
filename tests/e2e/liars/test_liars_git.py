"""Agents who are clever with git, or leave behind what git or a file system trips over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kit.liars import (
    LANDED,
    OUTSIDE,
    Corpus,
    Liar,
    Outcome,
    all_hold,
    code,
    code_of,
    honest,
    path_of,
    row_holds,
    sh,
)

pytestmark = pytest.mark.timeout(400)

FAILED = "implementation failed"
EMPTY = "attempt_failed:agent_empty:nothing had changed"
TRAP = f"touch {OUTSIDE}/ran"
ENDLESS_NAME = "shop/" + "n" * 250


def does(name: str, why: str, *lines: str, more: tuple[str, ...] = (), **other: object) -> Liar:
    """Does its work, and then these lines; it lands, and nothing of the lines but `more` does."""
    return Liar(
        name,
        why,
        LANDED,
        implementer=([code(name), *(sh(line) for line in lines)],),
        lands=(path_of(name), code_of(name), *more),
        **other,
    )


def fails(name: str, why: str, *lines: str, events: tuple[str, ...] = (EMPTY,)) -> Liar:
    """Does no work, or loses it with these lines."""
    return Liar(name, why, FAILED, events=events, implementer=([sh(line) for line in lines],))


def left_out(name: str, *paths: str) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        (accepted,) = outcome.told(name, "implementation_accepted")
        assert set(accepted["data"]["left_out"]) >= set(paths), accepted

    return check


def squashed(name: str) -> Callable[[Outcome], None]:
    """One commit with one parent, which has nothing of the agent's history below it."""

    def check(outcome: Outcome) -> None:
        commit = outcome.commits()[name]
        assert len(outcome.git("rev-parse", f"{commit}^@").split()) == 1
        assert outcome.git("log", "--format=%s", "--grep=evil", "main") == ""
        assert outcome.git("rev-list", "--max-parents=0", "main").split() == [outcome.first]

    return check


def is_a_link(outcome: Outcome) -> None:
    """What lands is the link itself; what it leads to was read and written by nobody."""
    said = outcome.git("ls-tree", "main", "--", "shop/way-out")
    assert said.startswith("120000 "), said
    assert outcome.show("shop/way-out") == "../../../outside"


def has_crlf(outcome: Outcome) -> None:
    assert outcome.raw("show", "main:shop/crlf.txt") == b"one\r\ntwo\r\n"


def no_ref(outcome: Outcome) -> None:
    refs = outcome.git("for-each-ref", "--format=%(refname)").split()
    assert not [ref for ref in refs if "evil" in ref]
    assert {ref.split("/")[1] for ref in refs} <= {"heads", "oya", "notes"}


def unharmed(outcome: Outcome) -> None:
    assert (outcome.root / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert outcome.git("fsck", "--no-dangling", "--no-progress") == ""


def configured(*settings: str) -> tuple[str, ...]:
    return tuple(f"git config {setting}" for setting in settings)


CORPUS = Corpus(
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        does(
            "commits-to-main",
            "commits to main in its clone, and stays there",
            "git checkout -q -b main && git add -A && git commit -qm evil",
            check=squashed("commits-to-main"),
        ),
        does(
            "rewrites-history",
            "an orphan branch without any of the history",
            "git checkout -q --orphan evil && git add -A && git commit -qm evil",
            check=squashed("rewrites-history"),
        ),
        does(
            "amends",
            "amends the commit that it was given",
            "git add -A && git commit -q --amend -m evil --date=2001-01-01",
            check=squashed("amends"),
        ),
        does(
            "merges",
            "a merge commit of two side branches",
            "git add -A && git commit -qm evil && git checkout -q -b evil HEAD~1 "
            "&& git commit -q --allow-empty -m evil2 && git merge -q --no-edit -m evil3 @{-1}",
            check=squashed("merges"),
        ),
        fails("empty-commit", "an empty commit for work", "git commit -q --allow-empty -m work"),
        does(
            "detaches",
            "a branch and a tag of its own, a detached head, a stash",
            "git branch evil; git tag evil-tag; git add -A; git commit -qm evil; "
            "git update-ref refs/remotes/evil/main HEAD; git checkout -q --detach",
            check=no_ref,
        ),
        does(
            "huge-file",
            "a file of 200 MB",
            "truncate -s 200M shop/huge.bin",
            check=left_out("huge-file", "shop/huge.bin"),
        ),
        does(
            "huge-commit",
            "a file of 11 MB, committed in its clone",
            "head -c 11000000 /dev/zero > shop/large.bin; git add -A; git commit -qm evil",
            check=left_out("huge-commit", "shop/large.bin"),
        ),
        does(
            "links-out",
            "a link that leads out of the tree",
            "ln -s ../../../outside shop/way-out",
            more=("shop/way-out",),
            check=is_a_link,
            limit="Links that lead out of the tree",
        ),
        does(
            "hooks",
            "hooks in its clone that run something",
            "mkdir -p .git/hooks; for h in pre-commit post-commit post-checkout post-index-change "
            f"reference-transaction; do printf '#!/bin/sh\\n{TRAP}\\n' > .git/hooks/$h; "
            "chmod +x .git/hooks/$h; done",
        ),
        does(
            "configures",
            "a configuration of its clone that runs something",
            *configured(
                f"core.fsmonitor '{TRAP}; false'",
                f"filter.evil.clean '{TRAP}; cat'",
                f"filter.evil.smudge '{TRAP}; cat'",
                f"filter.evil.process '{TRAP}'",
                f"diff.external '{TRAP}'",
                f"core.sshCommand '{TRAP}'",
                f"alias.status '!{TRAP}'",
                "core.hooksPath hooks",
                'core.worktree "$HOME/../outside"',
            ),
            "mkdir -p .git/info; echo '* filter=evil diff=evil' > .git/info/attributes",
        ),
        does("deletes-git", "deletes the .git of its workspace", "rm -rf .git", check=unharmed),
        does(
            "moves-git",
            "a .git that is a file, and names the user's repository",
            'rm -rf .git; echo "gitdir: $HOME/../shop/.git" > .git',
            check=unharmed,
        ),
        does(
            "links-git",
            "a .git that is a link to the user's own",
            'rm -rf .git; ln -s "$HOME/../shop/.git" .git',
            check=unharmed,
        ),
        does(
            "other-objects",
            "takes its objects from somewhere else",
            "git add -A; git commit -qm evil; "
            f"echo {OUTSIDE} > .git/objects/info/alternates; rm -rf .git/objects/??",
            check=left_out("other-objects", ".git"),
        ),
        does("locks", "locks that nobody takes away", "touch .git/index.lock .git/HEAD.lock"),
        does(
            "bad-index",
            "an index and a HEAD that say nothing",
            "head -c 4096 /dev/urandom > .git/index; echo ref: ../../../etc > .git/HEAD",
        ),
        fails("deletes-all", "deletes its workspace", 'rm -rf "$PWD"'),
        fails(
            "links-itself",
            "puts a link to the user's home in the place of its workspace",
            'cd ..; rm -rf "$OLDPWD"; ln -s "$HOME" "$OLDPWD"',
        ),
        does(
            "submodule",
            "a submodule that nobody has",
            "git update-index --add --cacheinfo "
            "160000,0123456789012345678901234567890123456789,vendor/evil; git commit -qm evil",
            check=left_out("submodule", "vendor/evil"),
        ),
        does(
            "repository-in-it",
            "a repository of its own inside the work",
            "git init -q inner; touch inner/x; git -C inner add x; "
            "git -C inner -c user.name=x -c user.email=x commit -qm evil",
            check=left_out("repository-in-it", "inner/"),
        ),
        does(
            "not-utf8",
            "a name that is not UTF-8",
            r"""touch "$(printf 'shop/caf\351.txt')" """,
            more=("shop/caf\udce9.txt",),
        ),
        does(
            "odd-names",
            "names with new lines, quotes and leading dashes",
            r"""mkdir ./-rf; touch ./-rf/--help "$(printf 'shop/a\nb.txt')" 'shop/"q'"'"'.txt' """,
            more=("-rf/--help", "shop/a\nb.txt", "shop/\"q'.txt"),
        ),
        does(
            "two-cases",
            "two names that differ in case alone",
            "echo 1 > shop/Case.txt; echo 2 > shop/case.txt",
            more=("shop/Case.txt", "shop/case.txt"),
            limit="Names that differ in case alone",
        ),
        does(
            "crlf",
            "lines that end as on Windows",
            r"printf 'one\r\ntwo\r\n' > shop/crlf.txt",
            more=("shop/crlf.txt",),
            check=has_crlf,
        ),
        does(
            "long-name",
            "a name as long as a file system takes",
            f"touch {ENDLESS_NAME}",
            more=(ENDLESS_NAME,),
        ),
        does(
            "pipe-for-a-file",
            "a pipe, a socket and a device in the place of files",
            "rm README.md; mkfifo README.md shop/pipe; mknod shop/null c 1 3 || true",
        ),
        does(
            "unreadable",
            "files and folders that may not be read",
            "mkdir shop/shut; touch shop/shut/x shop/mode; chmod 000 shop/mode shop/shut",
            more=("shop/shut/x", "shop/mode"),
        ),
        does(
            "deep",
            "a thousand folders in one another",
            "python3 -c \"import os\nfor n in range(1100):\n os.mkdir('d'); os.chdir('d')\"",
        ),
        does(
            "file-for-a-folder",
            "a file where a folder was, and the other way round",
            "rm README.md; mkdir README.md; echo x > README.md/x",
            more=("README.md", "README.md/x"),
        ),
    )
)


@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_git_is_not_led_astray(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


def test_nothing_of_those_repositories_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
