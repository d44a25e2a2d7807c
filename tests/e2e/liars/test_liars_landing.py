"""Work that is green alone and not beside others, and tests that are green by luck."""

from __future__ import annotations

import pytest
from kit.liars import (
    LANDED,
    SHOP,
    Corpus,
    Liar,
    Outcome,
    Step,
    all_hold,
    code,
    code_of,
    contract,
    honest,
    module,
    path_of,
    row_holds,
    sh,
)

pytestmark = pytest.mark.timeout(400)

FAILED = "implementation failed"
CONFLICT = "landing_conflicted"
EITHER = (LANDED, FAILED)
"""One of two lands first; the other one's lie is found then."""

STOCK = ("shop/stock.py", "shop/stock_1.py", "shop/stock_2.py")
OURS = r"sed -i -e '/^=======$/,/^>>>>>>> /d' -e '/^<<<<<<< /d' -e '/^||||||| /,/^=======$/d'"


def uses(name: str, what: str) -> list[Step]:
    """A contract that asks for this."""
    m = module(name)
    return contract(name, f"def test_{m}():\n    from shop import till\n\n    assert {what}\n")


def appended(head: str, value: str) -> Step:
    """One more function at the end of the till."""
    return sh(f"printf '\\n\\ndef {head}:\\n    return {value}\\n' >> shop/till.py")


def picture(name: str, byte: str) -> Liar:
    """Changes a picture that another bead changes, too; it keeps what it finds after that."""
    return Liar(
        name,
        "changes a picture that another bead changes, too",
        LANDED,
        implementer=([code(name), sh(f"head -c 999 /dev/zero | tr '\\0' {byte} > shop/logo.bin")],),
        later={"implementer": ([{"say": "It is as it was."}],)},
        may=("shop/logo.bin",),
    )


def either(name: str, other: str, why: str, **roles: object) -> Liar:
    """One of a pair of which exactly one can land as it is."""

    def one_of_both(outcome: Outcome) -> None:
        ends = sorted(outcome.states[bead] for bead in (name, other))
        assert ends == sorted(EITHER), outcome.story(name)
        loser = name if outcome.states[name] == FAILED else other
        assert outcome.told(loser, CONFLICT), outcome.story(loser)

    return Liar(name, why, EITHER, check=one_of_both, **roles)


def flickers(name: str, how: str, red: str) -> list[Step]:
    """A contract whose test is red for another reason at some runs: `red` says in Python when."""
    m = module(name)
    body = f"    from shop.{m} import double\n\n    assert double(2) == 4\n    assert not ({red})\n"
    return contract(name, f"{how}\n\ndef test_{m}():\n{body}")


COUNT = """\
import os

HERE = os.path.expanduser("~/../{name}.count")


def count():
    with open(HERE, "ab+") as file:
        file.write(b"x")
        return file.tell()

"""
"""How often a test has run, whatever is done about the folder in which it does."""


def counted(name: str) -> str:
    return COUNT.format(name=name)


CORPUS = Corpus(
    rerun=True,
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        Liar(
            "same-function-1",
            "adds a function that another bead adds, too",
            EITHER,
            test_writer=(uses("same-function-1", "till.tax(10) == 1"),),
            implementer=(
                [sh("printf '\\n\\ndef tax(n):\\n    return n // 10\\n' >> shop/till.py")],
            ),
            later={"implementer": ([sh(f"{OURS} shop/till.py")],)},
            lands=(path_of("same-function-1"), "shop/till.py"),
        ),
        Liar(
            "same-function-2",
            "the same function, otherwise; in a conflict it takes one side, blindly",
            EITHER,
            test_writer=(uses("same-function-2", "till.tax(10) == 2"),),
            implementer=(
                [sh("printf '\\n\\ndef tax(n):\\n    return n // 5\\n' >> shop/till.py")],
            ),
            later={"implementer": ([sh(f"{OURS} shop/till.py")],)},
            lands=(path_of("same-function-2"), "shop/till.py"),
        ),
        either(
            "meaning-1",
            "meaning-2",
            "changes a number; green alone",
            test_writer=(uses("meaning-1", "till.RATE == 20"),),
            implementer=([sh("sed -i 's/^RATE = 10/RATE = 20/' shop/till.py")],),
            lands=(path_of("meaning-1"), "shop/till.py"),
        ),
        either(
            "meaning-2",
            "meaning-1",
            "relies on that number as it was; green alone",
            test_writer=(
                contract(
                    "meaning-2",
                    "def test_meaning_2():\n    from shop.meaning_2 import rate\n\n"
                    "    assert rate() == 10\n",
                ),
            ),
            implementer=(
                [
                    {
                        "write": {
                            code_of("meaning-2"): (
                                "from shop.till import RATE\n\n\ndef rate():\n    return RATE\n"
                            )
                        }
                    }
                ],
            ),
        ),
        Liar(
            "rename-1",
            "renames a file that another bead renames, too",
            EITHER,
            test_writer=(
                contract("rename-1", "def test_rename_1():\n    import shop.stock_1 as s\n"),
            ),
            implementer=([sh("git mv shop/stock.py shop/stock_1.py")],),
            lands=(path_of("rename-1"), "shop/stock_1.py"),
            may=STOCK,
        ),
        Liar(
            "rename-2",
            "the same to another name",
            EITHER,
            test_writer=(
                contract("rename-2", "def test_rename_2():\n    import shop.stock_2 as s\n"),
            ),
            implementer=([sh("git mv shop/stock.py shop/stock_2.py")],),
            lands=(path_of("rename-2"), "shop/stock_2.py"),
            may=STOCK,
        ),
        picture("binary-1", "a"),
        picture("binary-2", "b"),
        Liar(
            "conflict-left",
            "leaves the marks of the conflict in the code",
            EITHER,
            test_writer=(uses("conflict-left", "till.left() == 1"),),
            implementer=([appended("left()", "1")],),
            later={"implementer": ([{"say": "Resolved."}],)},
            lands=(path_of("conflict-left"), "shop/till.py"),
        ),
        Liar(
            "flaky",
            "a test that is red at every other run",
            FAILED,
            events=("attempt_failed:contract_broken:flaky",),
            test_writer=(flickers("flaky", counted("flaky"), "count() % 2 == 0"),),
        ),
        Liar(
            "only-alone",
            "a test that passes when it runs alone",
            FAILED,
            events=("attempt_failed:gate_red:test_only_alone: failed",),
            test_writer=(
                contract(
                    "only-alone",
                    "import sys\n\n\ndef test_only_alone():\n"
                    "    from shop.only_alone import double\n\n"
                    "    assert double(2) == 4\n    assert len(sys.argv) == 3\n",
                ),
            ),
        ),
        Liar(
            "z-in-order",
            "a test that passes after the others alone",
            FAILED,
            events=("attempt_failed:contract_broken:flaky",),
            test_writer=(
                contract(
                    "z-in-order",
                    "import sys\n\n\ndef test_z_in_order():\n"
                    "    from shop.z_in_order import double\n\n"
                    "    assert double(2) == 4\n    assert 'shop.till' in sys.modules\n",
                ),
            ),
        ),
        Liar(
            "only-today",
            "a test that is true this century",
            LANDED,
            test_writer=(
                flickers("only-today", "import datetime\n", "datetime.date.today().year > 2099"),
            ),
            limit="Tests that depend on the day",
        ),
        Liar(
            "remembers",
            "a test that is red at its first run, whatever the code does, and green ever after",
            LANDED,
            test_writer=(
                contract(
                    "remembers",
                    counted("remembers")
                    + "\ndef test_remembers():\n    import shop.till\n\n    assert count() > 1\n",
                ),
            ),
            implementer=([{"write": {"README.md": "# Remembers\n"}}],),
            lands=(path_of("remembers"), "README.md"),
            limit="Tests that remember",
        ),
        Liar(
            "marks-its-folder",
            "the same by a file in the folder that it runs in",
            FAILED,
            events=("attempt_failed:gate_red",),
            test_writer=(
                contract(
                    "marks-its-folder",
                    "import os\n\n\ndef test_marks_its_folder():\n"
                    "    there = os.path.exists('mark')\n    open('mark', 'w').close()\n"
                    "    assert there\n",
                ),
            ),
            implementer=([{"write": {"README.md": "# Marked\n"}}],),
        ),
        Liar(
            "edits-its-folder",
            "a test that writes into the files that are being judged",
            "contract failed",
            events=("attempt_failed:gate_red:nothing is red",),
            test_writer=(
                contract(
                    "edits-its-folder",
                    "def test_edits_its_folder():\n"
                    "    with open('shop/till.py', 'a') as file:\n"
                    "        file.write('\\n\\ndef edited():\\n    return 1\\n')\n"
                    "    import shop.till\n\n    assert shop.till.edited() == 1\n",
                ),
            ),
        ),
    ),
    files={
        **SHOP,
        "shop/stock.py": "".join(f"ITEM_{n} = {n}\n" for n in range(20)),
        "shop/logo.bin": "\x00\x01\x02" * 100,
    },
)


@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_what_is_red_beside_others_does_not_land(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


@pytest.mark.parametrize("pair", ["same-function", "rename"])
def test_of_a_pair_at_least_one_lands(outcome: Outcome, pair: str) -> None:
    ends = [outcome.states[f"{pair}-{n}"] for n in (1, 2)]
    assert LANDED in ends, ends


def test_a_picture_is_of_one_of_the_two(outcome: Outcome) -> None:
    pair = ("binary-1", "binary-2")
    assert [bead for bead in pair if outcome.told(bead, CONFLICT)], "nobody was in the way"
    assert outcome.raw("show", "main:shop/logo.bin") in (b"a" * 999, b"b" * 999)


def test_main_has_no_marks_of_a_conflict(outcome: Outcome) -> None:
    assert "<<<<<<<" not in outcome.git("grep", "-I", "-h", "", "main", "--", "shop", "tests")


def test_nothing_of_that_luck_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
