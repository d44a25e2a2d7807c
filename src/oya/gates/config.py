"""What gates are configured to run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oya.errors import ConfigError
from oya.gates.reports.kind import Kind
from oya.gates.reports.kinds import KINDS

_IDS_LIMIT: Final = 100_000
"""Characters of words for tests on a command line; the kernel takes 131,072 in one argument."""

_KNOWN: Final = f"known are {', '.join(KINDS)}, none"
_OR_NONE: Final = 'put {report} into it, or set report = "none"'
_HINTS: Final = {"junit": 'put --junitxml={report} into it, or set report = "none"'}
_PLACEHOLDER: Final = re.compile(r"\{(tests|report)\}")


@dataclass(frozen=True, slots=True)
class GatesConfig:
    """The commands of the gates, as lines for the shell.

    `report` is a kind of `reports.kinds.KINDS`, or `none`. `env` is the whole environment of a
    gate, before what gates add (`OYA_SLOT`, `TMPDIR`, and what the report needs). `timeout` is
    in seconds, for all the commands of one gate together. `repeat` is how often fail_to_pass
    runs on the first green tree. `fingerprint` stands for tool versions and the prepared
    environment; it is part of every key. `history`: what ci says depends on the parent, too.
    `moon`: calls of moon are judged by its reports.
    Raises ConfigError where the report is of no known kind, or has no place in the command.
    """

    quick: tuple[str, ...] = ()
    ci: tuple[str, ...] = ()
    tests_command: str | None = None
    report: str = "junit"
    timeout: float = 1800.0
    env: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 3
    fingerprint: str = ""
    history: bool = False
    moon: bool = False

    def __post_init__(self) -> None:
        if not self.reports_tests:
            return
        if self.report not in KINDS:
            raise ConfigError(f"there is no kind of report `{self.report}`", hint=_KNOWN)
        if KINDS[self.report].file and "{report}" not in str(self.tests_command):
            raise ConfigError(
                "the command of the tests gate does not say where its report goes: "
                "{report} is missing",
                hint=_HINTS.get(self.report, _OR_NONE),
            )

    @property
    def reports_tests(self) -> bool:
        """Whether tests are judged one by one, and not all together by an exit code."""
        return self.tests_command is not None and self.report != "none"


def fill(command: str, words: Sequence[str], report: Path) -> str:
    """The command with what asks for tests and the report's path, quoted for the shell."""
    values = {"tests": shlex.join(words), "report": shlex.quote(str(report))}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], command)


def words(kind: Kind, ids: Sequence[str], root: Path) -> Sequence[str]:
    """What asks for these tests. More than fits on a command line becomes the whole suite."""
    chosen = kind.select(ids, root)
    return chosen if len(shlex.join(chosen)) <= _IDS_LIMIT else kind.select((), root)
