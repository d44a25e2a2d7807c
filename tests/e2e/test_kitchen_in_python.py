"""A Python repository: a fix round, a conflict, two beads red together, a contested review."""

from __future__ import annotations

import pytest
from kit.kitchen import Language, lands_all
from kit.user import User


def _test(bead: str, module: str, claim: str) -> tuple[str, str, str]:
    path = f"tests/test_{bead}.py"
    text = f"from {module} import {bead}\n\n\ndef test_{bead}():\n    assert {claim}\n"
    return path, text, f"{path}::test_{bead}"


PYTHON = Language(
    tools=(),
    files={
        "conftest.py": "",
        "measures.py": "def cup():\n    return 200\n\n\n# more measures\n",
        "eggs.py": "",
        "tests/test_here.py": (
            "from measures import cup\n\n\ndef test_here():\n    assert cup() > 100\n"
        ),
        ".gitignore": "__pycache__/\n.pytest_cache/\n",
    },
    measures="measures.py",
    more="# more measures\n",
    jug="def jug(n):\n    per = 2 * cup()\n    return n * per\n",
    spoon="\n\ndef spoon(n):\n    return n * 15\n",
    cup=("return 200", "return 250"),
    per=("per = cup()", "per = 2 * cup()", "per = 400"),
    eggs="eggs.py",
    by_heart="def dozen(n):\n    return 24\n",
    counted="def dozen(n):\n    return 12 * n\n",
    tests={
        "jug": _test("jug", "measures", "jug(3) == 1200"),
        "spoon": _test("spoon", "measures", "spoon(2) == 30"),
        "cup": _test("cup", "measures", "cup() == 250"),
        "dozen": _test("dozen", "eggs", "dozen(2) == 24"),
    },
    challenge="python -B -c 'from eggs import dozen; print(dozen(5)); assert dozen(5) == 60'",
    guessed=(
        'quality-gates.ci = ["python -m pytest"]  (conftest.py is here)',
        'quality-gates.tests.command = "python -m pytest {tests} --junitxml={report}"',
        'quality-gates.tests.report = "junit"',
    ),
    suite=("python", "-m", "pytest", "-q"),
    env=lambda: {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # ours, which make it three times as slow
)


@pytest.mark.timeout(600)
def test_all_four_land_and_every_commit_is_green(user: User) -> None:
    lands_all(user, PYTHON)
