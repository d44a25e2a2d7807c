"""The little suite language of the simulated repository, as a program on a real machine.

Run as `suite [IDS…] REPORT`, `ci`, `has PATH WORD`, `lacks PATH WORD` or `hang`, in a
checkout. LUCK is the luck of the run; if the file TROUBLE names is there, it is killed.
It shares no code with `oya.testing.simulation.suite`: each checks the other.
"""

import os
import sys
import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path()


def lines(path):
    file = HERE / path
    return file.read_text().splitlines() if file.is_file() else None


def tests():
    for file in sorted((HERE / "tests").glob("*.t")):
        for line in file.read_text().splitlines():
            name, path, word, *steady = line.split()
            has = word in (lines(path) or ())
            calm = not steady or float(os.environ["LUCK"]) < float(steady[0][1:])
            why = "" if has and calm else f"{path} {'was too slow' if has else f'lacks {word}'}"
            yield f"tests/{file.name}", name, why


def suite(*args):
    *ids, report = args
    found = [test for test in tests() if not ids or f"{test[0]}::{test[1]}" in ids]
    cases = "".join(
        f"<testcase classname={quoteattr(path.replace('/', '.'))} file={quoteattr(path)}"
        f" name={quoteattr(name)}>"
        + (f"<failure message={quoteattr(f'AssertionError: {why}')}/>" if why else "")
        + "</testcase>"
        for path, name, why in found
    )
    if Path(os.environ["TROUBLE"]).exists():
        os.killpg(0, 9)
    Path(report).write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return 5 if not found else int(any(why for _, _, why in found))


def ci():
    if Path(os.environ["TROUBLE"]).exists():
        os.killpg(0, 9)
    red = [f"{path}::{name}" for path, name, why in tests() if why]
    found, owners = [], {}
    for file in sorted(path for path in HERE.rglob("*") if path.is_file()):
        path = file.relative_to(HERE).as_posix()
        if path.startswith((".git/", ".beads/")):
            continue
        words = file.read_text().splitlines()
        found += [f"{path} is red"] * ("red" in words)
        found += [f"{path} has conflict markers"] * ("=======" in words)
        for word in (word for word in words if word.startswith("clash-")):
            if owners.setdefault(word, path) != path:
                found.append(f"{path} and {owners[word]} both have {word}")
    print("; ".join(red + sorted(found)) or "all passed")
    return int(bool(red + found))


def has(path, word, *, wanted=True, verb="has"):
    code = int((word in (lines(path) or ())) is not wanted)
    print(f"{verb} {path} {word}: {code}")
    return code


def lacks(path, word):
    return has(path, word, wanted=False, verb="lacks")


def hang(*_):
    time.sleep(600)


VERBS = {"suite": suite, "ci": ci, "has": has, "lacks": lacks, "hang": hang}

if __name__ == "__main__":
    sys.exit(VERBS[sys.argv[1]](*sys.argv[2:]))
