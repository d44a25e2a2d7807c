"""What a line for the shell runs, told by its words alone."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

_BEFORE_A_PROGRAM: Final = frozenset(
    {
        # the shell's own
        *("!", "{", "if", "elif", "then", "else", "while", "until", "do"),
        *("builtin", "command", "eval", "exec", "time"),
        *("doas", "env", "ionice", "nice", "nohup", "setsid", "stdbuf", "sudo", "taskset"),
        *("timeout", "xargs", "xvfb-run"),
        # `uv run`, `go run`, `pnpm dlx`
        *("bunx", "npx", "pnpx", "uvx", "dlx", "run"),
    }
)
"""Words after which the name of a program comes."""
_INTERPRETER: Final = re.compile(
    r"(?:|ba|da|z|k|a|fi)sh|(?:python|pypy)[\d.]*|\.|source|node|deno|bun|tsx|ts-node|ruby|perl|php"
    r"|lua|julia|Rscript|pwsh|bats|java|groovy|elixir|swift"
)
"""Programs that run the file that they are given; without one, what comes through a pipe."""
_RUNS_ANY_WORD: Final = frozenset(
    {
        *("devbox", "direnv", "docker", "docker-compose", "find", "mise", "nix", "nix-shell"),
        *("parallel", "podman", "ssh", "su", "watch"),
    }
)
"""Programs that run a program somewhere in their words."""
_CONFIGURES: Final = re.compile(
    r"-[cfp]|--?[\w-]*(?:conf|file|import|manifest|project|require|settings)[\w-]*", re.I
)
"""Options whose value is a file that says what a program does."""
_ONLY_READ: Final = frozenset(
    {
        *("[", "[[", "cp", "diff", "head", "ln", "mkdir", "mv", "rm", "sort", "tail", "test"),
        *("touch", "wc"),
    }
)
"""Programs for which `-c` and `-f` are something else."""
_OPERATORS: Final = "();<>|&`"
_ASSIGNS: Final = re.compile(r"(-*[A-Za-z_][\w-]*)=(.*)", re.S)
_NUMBER: Final = re.compile(r"[\d.]+[smhd]?")


def what_runs(line: str) -> Iterator[str]:
    """The words of a line that are run, or that configure what is; all, where nobody can tell."""
    try:
        tokens = _tokens(line)
    except ValueError:
        yield from words(line)
        return
    for command, piped in _commands(tokens):
        programs = list(_programs(command))
        names = [posixpath.basename(word) for word in programs]
        readers = [name for name in names if _INTERPRETER.fullmatch(name)]
        if readers and (piped or names[-1] in readers):
            yield from words(line)  # it may run what another command says
        if not _RUNS_ANY_WORD.isdisjoint(names):
            yield from map(_value, command)
        if _ONLY_READ.isdisjoint(names):
            yield from _configuring(command)
        yield from programs
        for word in command:
            if re.search(rf"[\s{_OPERATORS}]", word):  # in quotes: perhaps a line of its own
                yield from what_runs(_value(word))


def words(line: str) -> Iterator[str]:
    """Words of a line, those in quotes too (`sh -c 'cd web && ./ci.sh'`); one that cannot be
    parsed is cut at its spaces."""
    try:
        tokens = _tokens(line)
    except ValueError:
        tokens = line.split()
    for token in tokens:
        for part in token.split():
            yield part.rpartition("=")[2].strip("'\"`;&|()") or part


def _commands(tokens: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """The simple commands, without what they write to, and whether each reads from a pipe."""
    command: list[str] = []
    piped = False
    for before, token in pairwise(("", *tokens, ";")):
        if _is_redirect(token) or (_is_redirect(before) and ">" in before):
            continue
        if token.strip(_OPERATORS):
            command.append(token)
        else:
            yield command, piped
            command, piped = [], token in ("|", "|&")


def _is_redirect(token: str) -> bool:
    return not token.strip("<>&|") and bool({*token} & {*"<>"})


def _programs(command: Sequence[str]) -> Iterator[str]:
    """The program of a simple command, and what the programs in it are given to run."""
    yield from _first(command)
    for number, word in enumerate(command, 1):
        name = posixpath.basename(word)
        if name in _BEFORE_A_PROGRAM or _INTERPRETER.fullmatch(name):
            yield from _first(command[number:])


def _first(said: Sequence[str]) -> Iterator[str]:
    """The first word that is no option, number or assignment (whose value may be run, too). One
    after an option may be its value, so that the next counts as well."""
    after_option = False
    for before, word in pairwise(("", *said)):
        if before == "-m":  # a module of Python's, and then what that is given
            path = word.replace(".", "/")
            yield from (word, f"{path}.py", f"{path}/__main__.py")
            return
        if word.startswith("-"):
            after_option = word != "--" and "=" not in word
        elif _NUMBER.fullmatch(word):
            after_option = False
        elif _ASSIGNS.fullmatch(word):
            yield _value(word)
        else:
            yield word
            if not after_option:
                return
            after_option = False


def _configuring(command: Sequence[str]) -> Iterator[str]:
    for before, word in pairwise(("", *command)):
        assigned = _ASSIGNS.fullmatch(word)
        if _CONFIGURES.fullmatch(assigned[1] if assigned else before):
            yield _value(word)


def _value(word: str) -> str:
    assigned = _ASSIGNS.fullmatch(word)
    return assigned[2] if assigned else word


def _tokens(line: str) -> list[str]:
    """Words and operators of a line for the shell; `ValueError` where its quotes do not end."""
    line = line.replace("\\\n", " ").replace("\n", " ; ")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
