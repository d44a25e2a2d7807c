"""What a line for the shell runs, told by its words alone."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, islice, pairwise
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
_TOP: Final = r"pwd|git rev-parse --show-toplevel"
_HERE: Final = re.compile(rf"\$\(\s*(?:{_TOP})\s*\)|`(?:{_TOP})`|\$PWD\b|\$\{{PWD\}}")
"""The folder in which a line runs."""
_VARIABLE: Final = re.compile(r"\$(?:\w+|\{[^}]*\}|[@*#?!$-])?|`")
_CHOICE: Final = re.compile(r"\[[^\]]*\]|\{[^}]*\}")
"""What a shell makes names of, apart from `*` and `?`."""
_LINE: Final = re.compile(rf"[\s{_OPERATORS}]")
"""In a word that was quoted: it may be a line of its own."""
_TELLS_TESTS: Final = frozenset({"bats", "--test"})
"""Where these stand, what an interpreter is given are tests."""
_VALUES: Final = 50
"""Values of a variable that are tried, at most."""


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
            if _LINE.search(word):
                yield from what_runs(_value(word))


def globs_run(line: str) -> Iterator[str]:
    """Globs for what a line runs without saying its name: `sh checks/*.sh`, the variable of a
    loop, `python tools` (its `__main__.py`), `go run ./tools/lint`. What it only reads gives none.
    """
    try:
        tokens = _tokens(line)
    except ValueError:
        return
    known: dict[str, list[str]] = {}
    told: list[list[str]] = []
    unclear = False
    for command, _ in _commands(tokens):
        _learn(known, command)
        told.append(command)
        for by, word in _given(command):
            for said in _spelt(word, known):
                if said.strip("*?/."):
                    yield from _found_as(by, word, said)
                elif re.sub(r"\W", "", word) in known:
                    unclear = True
                    told[-1] = []
        for word in command:
            if _LINE.search(word):
                yield from globs_run(_value(word))
    if unclear:  # a variable that is run may be whatever the other commands speak of
        yield from _spoken_of(told)


def _given(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is run for sure, and by what ("": by itself)."""
    if not _TELLS_TESTS.isdisjoint(posixpath.basename(word) for word in command):
        return
    assigned = {_value(word) for word in command if _ASSIGNS.fullmatch(word)}
    for name, given in _runners(command):
        if _INTERPRETER.fullmatch(name):
            found = _first(given)
        else:
            found = islice(dropwhile(_ASSIGNS.fullmatch, given), 1)
        yield from ((name, said) for said in found if not (said in assigned or _LINE.search(said)))


def _found_as(by: str, word: str, said: str) -> Iterator[str]:
    """The files that a word stands for, beside the one of its name."""
    if said != word or "*" in said or "?" in said:
        yield said
    if by.startswith(("python", "pypy")):
        yield f"{said}/__main__.py"
    elif by == "node":
        yield f"{said}/index.*"
    elif by == "run" and said.startswith("."):  # of Go, a package
        yield f"{said}/*.go"


def _spoken_of(commands: Sequence[Sequence[str]]) -> Iterator[str]:
    """What commands may tell a variable of the line: their words that run nothing."""
    for command in commands:
        programs = {*_programs(command)}
        yield from (word for word in command if word not in programs and "$" not in word)


def _learn(known: dict[str, list[str]], command: Sequence[str]) -> None:
    """The values that a loop or an assignment gives to a variable; "$": any that it reads."""
    if "read" in command:
        known.update((word, ["$"]) for word in command if word.isidentifier())
    if len(command) > 2 and command[0] == "for" and command[2] == "in":
        known[command[1]] = list(command[3:])
    for word in command:
        if assigned := _ASSIGNS.fullmatch(word):
            known[assigned[1]] = [assigned[2]]


def _spelt(word: str, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A word as a glob, for each value of the first variable in it; what is not known is any."""
    found = _VARIABLE.search(word)
    values = known.get(re.sub(r"\W", "", found[0]), (found[0],)) if found else ()
    for value in values[:_VALUES] if found else ("",):
        said = word.replace(found[0], value) if found else word
        yield "/".join(map(_any_of, said.split("/")))


def _any_of(name: str) -> str:
    if _VARIABLE.fullmatch(name):
        return "**"
    return _CHOICE.sub("*", _VARIABLE.sub("*", name))


def words(line: str) -> Iterator[str]:
    """Words of a line, those in quotes too (`sh -c 'cd web && ./ci.sh'`); one that cannot be
    parsed is cut at its spaces."""
    try:
        tokens = _tokens(line)
    except ValueError:
        tokens = _HERE.sub(".", line).split()
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
    for _, given in _runners(command):
        yield from _first(given)


def _runners(command: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """What runs a program in a simple command (first the shell, ""), and the words that it is
    given. `!` and `.` are something else where no command begins."""
    yield "", command
    begins = True
    for number, word in enumerate(command, 1):
        name = posixpath.basename(word)
        before = name in _BEFORE_A_PROGRAM
        if (before or _INTERPRETER.fullmatch(name)) and (begins or name not in ("!", ".")):
            yield name, command[number:]
        begins = before or bool(_ASSIGNS.fullmatch(word))


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
    line = _HERE.sub(".", line.replace("\\\n", " ").replace("\n", " ; "))
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
