"""A Go repository: a fix round, a conflict, two beads red together, a contested review."""

from __future__ import annotations

import pytest
from kit.kitchen import Language, lands_all, output
from kit.user import User

CUP = """\
package kitchen

func Cup() int {
	return 200
}

// more measures
"""
JUG = """\
func Jug(n int) int {
	per := 2 * Cup()
	return n * per
}
"""


def _test(bead: str, call: str, wanted: int) -> tuple[str, str, str]:
    path, name = f"{bead}_test.go", f"Test{bead.title()}"
    text = (
        f'package kitchen\n\nimport "testing"\n\nfunc {name}(t *testing.T) {{\n'
        f'\tif got := {call}; got != {wanted} {{\n\t\tt.Fatalf("got %d", got)\n\t}}\n}}\n'
    )
    return path, text, f"{path}::{name}"


GO = Language(
    tools=("go",),
    files={
        "go.mod": "module example.com/kitchen\n\ngo 1.21\n",
        "measures.go": CUP,
        "eggs.go": "package kitchen\n",
        "here_test.go": (
            'package kitchen\n\nimport "testing"\n\nfunc TestHere(t *testing.T) {\n'
            "\tif Cup() <= 100 {\n\t\tt.Fatal(Cup())\n\t}\n}\n"
        ),
    },
    measures="measures.go",
    more="// more measures\n",
    jug=JUG,
    spoon="\nfunc Spoon(n int) int { return n * 15 }\n",
    cup=("return 200", "return 250"),
    per=("per := Cup()", "per := 2 * Cup()", "per := 400"),
    eggs="eggs.go",
    by_heart="package kitchen\n\nfunc Dozen(n int) int {\n\treturn 24\n}\n",
    counted="package kitchen\n\nfunc Dozen(n int) int {\n\treturn 12 * n\n}\n",
    tests={
        "jug": _test("jug", "Jug(3)", 1200),
        "spoon": _test("spoon", "Spoon(2)", 30),
        "cup": _test("cup", "Cup()", 250),
        "dozen": _test("dozen", "Dozen(2)", 24),
    },
    challenge=(
        "mkdir -p cmd/try && printf '%s\\n' 'package main' 'import \"example.com/kitchen\"' "
        "'func main() { if n := kitchen.Dozen(5); n != 60 { panic(n) } }' > cmd/try/main.go "
        "&& go run ./cmd/try"
    ),
    guessed=(
        'quality-gates.quick = ["go vet ./..."]  (go.mod is here)',
        'quality-gates.ci = ["go test ./..."]  (go.mod is here)',
        'quality-gates.tests.command = "go test -json {tests}"',
        'quality-gates.tests.report = "go-json"',
    ),
    suite=("go", "test", "./..."),
    env=lambda: {"GOCACHE": output("go", "env", "GOCACHE"), "GOPROXY": "off"},
)


@pytest.mark.timeout(600)
def test_all_four_land_and_every_commit_is_green(user: User) -> None:
    lands_all(user, GO)
