"""A JavaScript repository: a fix round, a conflict, two beads red together, a contested review."""

from __future__ import annotations

import json

import pytest
from kit.kitchen import Language, lands_all
from kit.user import User

PACKAGE = {
    "name": "kitchen",
    "version": "1.0.0",
    "type": "module",
    "scripts": {"test": "node --test"},
}
JUG = """\
export function jug(n) {
  const per = 2 * cup();
  return n * per;
}
"""


def _test(bead: str, module: str, claim: str) -> tuple[str, str, str]:
    path = f"test/{bead}.test.js"
    text = (
        'import assert from "node:assert";\nimport test from "node:test";\n'
        f'import {{ {bead} }} from "../src/{module}.js";\n\n'
        f'test("{bead} holds", () => assert.ok({claim}));\n'
    )
    return path, text, f"{path}::{bead} holds"


JAVASCRIPT = Language(
    tools=("node", "npm"),
    files={
        "package.json": json.dumps(PACKAGE),
        "src/measures.js": "export const cup = () => 200;\n\n// more measures\n",
        "src/eggs.js": "export {};\n",
        "test/here.test.js": _test("cup", "measures", "cup() > 100")[1],
        ".gitignore": "node_modules/\n",
    },
    measures="src/measures.js",
    more="// more measures\n",
    jug=JUG,
    spoon="\nexport const spoon = (n) => n * 15;\n",
    cup=("() => 200", "() => 250"),
    per=("per = cup()", "per = 2 * cup()", "per = 400"),
    eggs="src/eggs.js",
    by_heart="export function dozen(n) {\n  return 24;\n}\n",
    counted="export function dozen(n) {\n  return 12 * n;\n}\n",
    tests={
        "jug": _test("jug", "measures", "jug(3) === 1200"),
        "spoon": _test("spoon", "measures", "spoon(2) === 30"),
        "cup": _test("cup", "measures", "cup() === 250"),
        "dozen": _test("dozen", "eggs", "dozen(2) === 24"),
    },
    challenge=(
        'node --input-type=module -e \'import { dozen } from "./src/eggs.js"; '
        "console.log(dozen(5)); process.exit(dozen(5) === 60 ? 0 : 1)'"
    ),
    guessed=(
        'quality-gates.ci = ["npm test"]  (package.json has the script test)',
        'quality-gates.tests.command = "node --test {tests}"',
        'quality-gates.tests.report = "node"',
    ),
    suite=("npm", "test"),
)


@pytest.mark.timeout(600)
def test_all_four_land_and_every_commit_is_green(user: User) -> None:
    lands_all(user, JAVASCRIPT)
