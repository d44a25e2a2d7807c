"""What gates are configured to run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from oya.errors import ConfigError

_IDS_LIMIT: Final = 100_000
"""Characters of ids on a command line; the kernel takes 131,072 in one argument."""

_PLACEHOLDER: Final = re.compile(r"\{(tests|report)\}")


@dataclass(frozen=True, slots=True)
class GatesConfig:
    """The commands of the gates, as lines for the shell.

    `env` is the whole environment of a gate, before what gates add (`OYA_SLOT`, `TMPDIR`, and
    `PYTEST_ADDOPTS` for tests). `timeout` is in seconds, for all the commands of one gate
    together. `repeat` is how often fail_to_pass runs on the first green tree. `fingerprint`
    stands for tool versions and the prepared environment; it is part of every key.
    `history`: what ci says depends on the parent, too. `moon`: calls of moon are judged by its
    reports.
    Raises ConfigError where the report has no place in the command.
    """

    quick: tuple[str, ...] = ()
    ci: tuple[str, ...] = ()
    tests_command: str | None = None
    report: Literal["junit", "none"] = "junit"
    timeout: float = 1800.0
    env: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 3
    fingerprint: str = ""
    history: bool = False
    moon: bool = False

    def __post_init__(self) -> None:
        if self.reports_tests and "{report}" not in str(self.tests_command):
            raise ConfigError(
                "the command of the tests gate does not say where its report goes: "
                "{report} is missing",
                hint='put --junitxml={report} into it, or set report = "none"',
            )

    @property
    def reports_tests(self) -> bool:
        """Whether tests are judged one by one, and not all together by an exit code."""
        return self.tests_command is not None and self.report == "junit"


def fill(command: str, ids: Sequence[str], report: Path) -> str:
    """The command with its ids and the report's path, quoted for the shell.

    More ids than fit on a command line become none, which is the whole suite.
    """
    tests = shlex.join(ids)
    values = {
        "tests": tests if len(tests) <= _IDS_LIMIT else "",
        "report": shlex.quote(str(report)),
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], command)
