"""Small projects in many languages, and what a report of each must say.

Each has three trees: `tests`, with a test for every way to end; `missing`, where a new file
of tests asks for names that the project does not have yet; `wrong`, where files of tests are
red for reasons that no implementation can take away. What the real runners said about them
is in tests/fixtures/reports (record.py there makes it anew).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oya.gates.model import BrokenKind, Outcome

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED
TREES = ("tests", "missing", "wrong")
FIXTURES = Path(__file__).parent / "fixtures/reports"
MODULES = Path(__file__).parent.parent / ".venv/real-agents/node_modules"


@dataclass(frozen=True)
class Project:
    """`tests`, `missing` and `wrong` join `base`. `cases` are those of `tests`, `kept` those of
    `base`, which may be lost for now in `missing`. `red` are ids to plan in
    `missing`. `named` asks for some of `cases`, `unnamed` are those that must not run then."""

    kind: str
    tool: str
    command: str
    base: Mapping[str, str]
    tests: Mapping[str, str]
    missing: Mapping[str, str]
    wrong: Mapping[str, str]
    cases: Mapping[str, Outcome]
    kept: tuple[str, ...]
    red: tuple[str, ...]
    broken: Mapping[str, BrokenKind]
    unit: str
    named: tuple[str, ...]
    unnamed: tuple[str, ...]
    says: str = ""
    ended: tuple[str, ...] = ()
    """Files of `tests` with a test that ends those beside it."""

    def tree(self, name: str) -> dict[str, str]:
        return {**self.base, **getattr(self, name)}

    def make(self, name: str, root: Path) -> None:
        for path, text in self.tree(name).items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if "package.json" in self.base and MODULES.is_dir():
            (root / "node_modules").symlink_to(MODULES)


def environment() -> dict[str, str]:
    """What the tools need of ours."""
    names = ("PATH", "HOME", "RUSTUP_HOME", "CARGO_HOME", "JAVA_HOME", "LANG", "GOPROXY")
    found = {name: os.environ[name] for name in names if name in os.environ}
    return {**found, "CARGO_NET_OFFLINE": "true"}


GO = Project(
    kind="go-json",
    tool="go",
    command="go test -json {tests}",
    base={
        "go.mod": "module example.com/larder\n\ngo 1.21\n",
        "larder.go": "package larder\n\ntype Amount struct{ Grams int }\n\n"
        "func One() int { return 1 }\n",
        "old_test.go": 'package larder\n\nimport "testing"\n\nfunc TestOne(t *testing.T) {\n'
        "\tif One() != 1 {\n\t\tt.Fatal()\n\t}\n}\n",
        "shop/shop.go": "package shop\n\nfunc Sum(a, b int) int { return a + b }\n",
        "shop/old_test.go": 'package shop\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {\n'
        "\tif Sum(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n}\n",
    },
    tests={
        "kinds_test.go": """package larder

import "testing"

func TestCases(t *testing.T) {
	for _, n := range []string{"a b", "1,5"} {
		t.Run(n, func(t *testing.T) {
			if n != "a b" {
				t.Errorf("got %q", n)
			}
		})
	}
}

func TestParentItself(t *testing.T) {
	t.Run("fine", func(t *testing.T) {})
	t.Error("not I")
}

func TestSkipped(t *testing.T) { t.Skip("later") }
""",
        "boom/boom_test.go": 'package boom\n\nimport "testing"\n\n'
        "func TestFirst(t *testing.T) {}\n\n"
        'func TestPanics(t *testing.T) { panic("bang") }\n\n'
        "func TestNever(t *testing.T) {}\n",
    },
    missing={
        "shop/new_test.go": """package shop_test

import (
	"testing"

	"example.com/larder"
	"example.com/larder/shop"
)

func TestScale(t *testing.T) {
	var a larder.Amount
	if shop.Scale(1) != a.Double() || larder.Gone != 2 || a.Kilos != 3 || larder.One(4) != 5 {
		t.Fatal()
	}
	_ = larder.Amount{Pounds: 1}
}
""",
        "mill/new_test.go": 'package mill\n\nimport (\n\t"testing"\n\n'
        '\t"example.com/larder/flour"\n)\n\n'
        "func TestFlour(t *testing.T) { flour.Grind() }\n",
        "many/many_test.go": 'package many\n\nimport (\n\t"testing"\n\n'
        '\t"example.com/larder"\n)\n\nfunc TestMany(t *testing.T) {\n'
        + "".join(f"\t_ = larder.Gone({n})\n" for n in range(11))
        + "}\n",
    },
    wrong={
        "syn/syn_test.go": 'package syn\n\nimport "testing"\n\nfunc TestF(t *testing.T) {\n'
        "\tif F( != 1 {\n",
        "third/third_test.go": 'package third\n\nimport (\n\t"testing"\n\n'
        '\t"example.org/nobody/nothing"\n)\n\nfunc TestF(t *testing.T) { nothing.X() }\n',
        "own/own_test.go": 'package own\n\nimport "testing"\n\nfunc TestF(t *testing.T) {\n'
        '\tstrings.ToUpper("a")\n}\n',
        "unused/unused_test.go": 'package unused\n\nimport "testing"\n\n'
        "func TestF(t *testing.T) {\n\tx := 1\n}\n",
        "foreign/foreign_test.go": 'package foreign\n\nimport "testing"\n\n'
        'func TestF(t *testing.T) {\n\tt.Nothing("a")\n}\n',
    },
    cases={
        "old_test.go::TestOne": PASSED,
        "shop/old_test.go::TestSum": PASSED,
        "kinds_test.go::TestCases/a_b": PASSED,
        "kinds_test.go::TestCases/1,5": FAILED,
        "kinds_test.go::TestParentItself": FAILED,
        "kinds_test.go::TestParentItself/fine": PASSED,
        "kinds_test.go::TestSkipped": SKIPPED,
        "boom/boom_test.go::TestFirst": PASSED,
        "boom/boom_test.go::TestPanics": FAILED,
    },
    kept=("old_test.go::TestOne", "shop/old_test.go::TestSum"),
    red=(
        "shop/new_test.go::TestScale",
        "mill/new_test.go::TestFlour",
        "many/many_test.go::TestMany",
    ),
    broken={
        "syn/syn_test.go": "syntax",
        "third/third_test.go": "missing_third_party",
        "own/own_test.go": "other",
        "unused/unused_test.go": "other",
        "foreign/foreign_test.go": "other",
    },
    unit="own/*",
    named=("kinds_test.go::TestCases/a_b", "shop/old_test.go::TestSum"),
    unnamed=("old_test.go::TestOne", "boom/boom_test.go::TestPanics"),
    says='kinds_test.go:9: got "1,5"',
    ended=("boom/boom_test.go",),
)

RUST = {
    "Cargo.toml": '[package]\nname = "larder"\nversion = "0.1.0"\nedition = "2021"\n\n'
    '[workspace]\nmembers = ["shop-kit"]\n',
    "src/lib.rs": """pub struct Amount {
    pub grams: u32,
}

/// ```
/// assert_eq!(larder::one(), 1);
/// ```
pub fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    #[test]
    fn inside() {
        assert_eq!(super::one(), 1);
    }
}
""",
    "tests/old.rs": "#[test]\nfn one() {\n    assert_eq!(larder::one(), 1);\n}\n",
    "shop-kit/Cargo.toml": '[package]\nname = "shop-kit"\nversion = "0.1.0"\nedition = "2021"\n',
    "shop-kit/src/lib.rs": "pub fn sum(a: u32, b: u32) -> u32 {\n    a + b\n}\n",
    "shop-kit/tests/old.rs": "#[test]\nfn sums() {\n    assert_eq!(shop_kit::sum(1, 2), 3);\n}\n",
}
RUST_TESTS = {
    "tests/kinds.rs": """mod deep {
    #[test]
    fn fails() {
        println!("some words");
        assert_eq!(larder::one(), 2, "one is not two");
    }
    #[test]
    fn passes() {}
}
#[test]
#[ignore = "later"]
fn skipped() {}
#[test]
#[should_panic]
fn panics() {
    panic!("yes");
}
#[test]
fn returns() -> Result<(), String> {
    Err("no".into())
}
"""
}
RUST_MISSING = {
    "tests/new.rs": """use larder::shop::Basket;
use larder::{scale, Amount};

#[test]
fn scales() {
    let a = Amount { grams: 1, kilos: 2 };
    assert_eq!(scale(1), a.doubled());
    assert_eq!(larder::gone(), larder::one(3));
    assert_eq!(Amount::parse("1"), a.kilos);
    let _: Basket = Amount { grams: 1 } == a;
}
"""
}
RUST_WRONG = {
    "tests/foreign.rs": "use serde::Serialize;\n#[test]\nfn it() {}\n",
    "tests/broken.rs": "#[test]\nfn it( {\n    assert!(true)\n}\n",
    "tests/own.rs": "#[test]\nfn it() {\n    two();\n}\n",
    "tests/unimported.rs": "#[test]\nfn it() {\n    let _ = Amount { grams: 1 };\n}\n",
    "tests/vec.rs": "#[test]\nfn it() {\n    vec![1].nope();\n}\n",
}
RUST_BROKEN: dict[str, BrokenKind] = {
    "tests/foreign.rs": "missing_third_party",
    "tests/broken.rs": "syntax",
    "tests/own.rs": "other",
    "tests/unimported.rs": "other",
    "tests/vec.rs": "other",
}
RUST_CASES = {
    "src/lib.rs::tests::inside": PASSED,
    "tests/old.rs::one": PASSED,
    "tests/kinds.rs::deep::fails": FAILED,
    "tests/kinds.rs::deep::passes": PASSED,
    "tests/kinds.rs::skipped": SKIPPED,
    "tests/kinds.rs::panics": PASSED,
    "tests/kinds.rs::returns": FAILED,
    "shop-kit/tests/old.rs::sums": PASSED,
}
RUST_KEPT = ("src/lib.rs::tests::inside", "tests/old.rs::one", "shop-kit/tests/old.rs::sums")
BUILD = "cargo build --workspace --tests --keep-going --message-format json"

CARGO = Project(
    kind="cargo",
    tool="cargo",
    command=f"{BUILD}; cargo test --workspace --no-fail-fast --message-format json {{tests}}",
    base=RUST,
    tests={
        **RUST_TESTS,
        "Cargo.toml": f'{RUST["Cargo.toml"]}\n[[test]]\nname = "features"\nharness = false\n',
        "tests/features.rs": "fn main() {\n"
        '    println!("Feature: one\\n1 scenario (1 passed)");\n}\n',
    },
    missing=RUST_MISSING,
    wrong=RUST_WRONG,
    cases={**RUST_CASES, "src/lib.rs::doc one": PASSED},
    kept=(*RUST_KEPT, "src/lib.rs::doc one"),
    red=("tests/new.rs::scales",),
    broken=RUST_BROKEN,
    unit="**",
    named=("tests/kinds.rs::deep", "tests/kinds.rs::panics"),
    unnamed=("src/lib.rs::tests::inside", "tests/old.rs::one", "tests/kinds.rs::returns"),
    says="one is not two",
)
NEXTEST = Project(
    kind="nextest",
    tool="cargo-nextest",
    command=f"{BUILD}; cargo nextest run --workspace --no-fail-fast {{tests}}",
    base={**RUST, ".config/nextest.toml": '[profile.default.junit]\npath = "junit.xml"\n'},
    tests=RUST_TESTS,
    missing=RUST_MISSING,
    wrong=RUST_WRONG,
    cases={id: outcome for id, outcome in RUST_CASES.items() if outcome is not SKIPPED},
    kept=RUST_KEPT,
    red=("tests/new.rs::scales",),
    broken=RUST_BROKEN,
    unit="**",
    named=("tests/kinds.rs::deep", "tests/kinds.rs::panics"),
    unnamed=("src/lib.rs::tests::inside", "tests/old.rs::one", "tests/kinds.rs::returns"),
    says="one is not two",
)


def scripts(kind: str, tool: str, command: str, start: str, package: str) -> Project:
    """A project in JavaScript; `start` is what each file of tests begins with."""
    strict = 'import assert from "node:assert";\n'

    def file(text: str) -> str:
        return f"{start}{strict}{text}"

    new = file('import { scale } from "../src/larder.js";\ntest("scales", () => scale(1));\n')
    module = file('import { sum } from "../src/shop.js";\ntest("sums", () => sum(1));\n')
    return Project(
        kind=kind,
        tool=tool,
        command=command,
        base={
            "package.json": package,
            "src/larder.js": "export const one = () => 1;\n",
            "tests/old.test.js": file(
                'import { one } from "../src/larder.js";\n'
                'test("one is one", () => assert.strictEqual(one(), 1));\n'
            ),
        },
        tests={
            "tests/kinds.test.js": file(
                """import { one } from "../src/larder.js";
describe("amounts", () => {
  it("parse [1,5] a/b", () => {});
  describe("deep :: down", () => {
    it("fails > here", () => assert.strictEqual(one(), 2, "one is not two"));
  });
  it.skip("skipped", () => {});
});
test("late", async () => (await import("../src/nope.js")).nope());
test("absent", async () => (await import("../src/larder.js")).two());
test("own", () => two());
"""
            )
        },
        missing={"tests/new.test.js": new, "tests/module.test.js": module},
        wrong={
            "tests/foreign.test.js": file(
                'import x from "surely-not-installed";\ntest("x", () => x(1));\n'
            ),
            "tests/helper.test.js": file(
                'import { x } from "./helpers.js";\ntest("x", () => x(1));\n'
            ),
            "tests/syntax.test.js": file('test("x", ( => x(1));\n'),
            "tests/throws.test.js": file('throw new Error("at once");\n'),
        },
        cases={
            "tests/old.test.js::one is one": PASSED,
            "tests/kinds.test.js::amounts > parse [1,5] a/b": PASSED,
            "tests/kinds.test.js::amounts > deep :: down > fails > here": FAILED,
            "tests/kinds.test.js::amounts > skipped": SKIPPED,
            "tests/kinds.test.js::late": FAILED,
            "tests/kinds.test.js::absent": FAILED,
            "tests/kinds.test.js::own": FAILED,
        },
        kept=("tests/old.test.js::one is one",),
        red=("tests/new.test.js::scales", "tests/module.test.js::sums"),
        broken={
            "tests/foreign.test.js": "missing_third_party",
            "tests/helper.test.js": "missing_third_party",
            "tests/syntax.test.js": "syntax",
            "tests/throws.test.js": "other",
        },
        unit="",
        named=(
            "tests/kinds.test.js::amounts > parse [1,5] a/b",
            "tests/kinds.test.js::amounts > deep :: down > fails > here",
        ),
        unnamed=("tests/old.test.js::one is one", "tests/kinds.test.js::absent"),
        says="one is not two",
    )


NODE = scripts(
    "node",
    "node",
    "node --test {tests}",
    'import test, { describe, it } from "node:test";\n',
    '{"type": "module"}\n',
)
JEST = scripts(
    "jest",
    "jest",
    "NODE_OPTIONS=--experimental-vm-modules "
    "npx --no -- jest --passWithNoTests --json --outputFile={report} {tests}",
    "",
    '{"type": "module", "jest": {"transform": {}}}\n',
)
VITEST = scripts(
    "vitest",
    "vitest",
    "npx --no -- vitest run --passWithNoTests --reporter=json --outputFile={report} {tests}",
    'import { test, it, describe } from "vitest";\n',
    '{"type": "module"}\n',
)

IN_MAIN, IN_TEST = "src/main/java/acme/larder", "src/test/java/acme/larder"
JUNIT = "import org.junit.jupiter.api.*;\nimport static org.junit.jupiter.api.Assertions.*;\n"


def java(imports: str, body: str, name: str) -> str:
    return f"package acme.larder;\n\n{imports}\nclass {name} {{\n{body}}}\n"


SUREFIRE = Project(
    kind="surefire",
    tool="mvn",
    command="mvn -B -ntp -fae test {tests}",
    base={
        "pom.xml": """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>acme</groupId>
  <artifactId>larder</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.junit.jupiter</groupId>
      <artifactId>junit-jupiter</artifactId>
      <version>5.11.4</version>
      <scope>test</scope>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-surefire-plugin</artifactId>
        <version>3.5.2</version>
      </plugin>
    </plugins>
  </build>
</project>
""",
        f"{IN_MAIN}/Amount.java": "package acme.larder;\n\npublic class Amount {\n"
        "    public static int one() { return 1; }\n}\n",
        f"{IN_TEST}/OldTest.java": java(
            JUNIT, "    @Test void one() { assertEquals(1, Amount.one()); }\n", "OldTest"
        ),
    },
    tests={
        f"{IN_TEST}/KindsTest.java": java(
            f"{JUNIT}import org.junit.jupiter.params.ParameterizedTest;\n"
            "import org.junit.jupiter.params.provider.ValueSource;\n",
            """    @Test void two() { assertEquals(2, Amount.one(), "one is not two"); }
    @Test void explodes() { throw new IllegalStateException("bang"); }
    @Test @Disabled("later") void skipped() {}
    @ParameterizedTest @ValueSource(strings = {"a b", "1,5"})
    void cases(String s) { assertEquals("a b", s); }
    @Nested class Inner { @Test void nested() {} }
""",
            "KindsTest",
        )
    },
    missing={
        f"{IN_TEST}/NewTest.java": java(
            f"import acme.larder.shop.Basket;\n{JUNIT}",
            """    @Test void scales() {
        assertEquals(1, Amount.scale(1));
        assertEquals(1, Amount.one(3));
        Basket b = new Basket();
        Kilo k = Scale.of(1);
    }
""",
            "NewTest",
        )
    },
    wrong={
        f"{IN_TEST}/ForeignTest.java": java(
            f"import com.nobody.Nothing;\n{JUNIT}", "    @Test void it() {}\n", "ForeignTest"
        ),
        f"{IN_TEST}/OwnTest.java": java(
            "", "    @org.junit.jupiter.api.Test void it() { assertEquals(1, 1); }\n", "OwnTest"
        ),
        f"{IN_TEST}/UnimportedTest.java": java(
            JUNIT, "    @Test void it() { List<String> l = null; }\n", "UnimportedTest"
        ),
    },
    cases={
        f"{IN_TEST}/OldTest.java::one": PASSED,
        f"{IN_TEST}/KindsTest.java::two": FAILED,
        f"{IN_TEST}/KindsTest.java::explodes": Outcome.ERROR,
        f"{IN_TEST}/KindsTest.java::skipped": SKIPPED,
        f"{IN_TEST}/KindsTest.java::cases[1]": PASSED,
        f"{IN_TEST}/KindsTest.java::cases[2]": FAILED,
        f"{IN_TEST}/KindsTest.java::Inner::nested": PASSED,
    },
    kept=(f"{IN_TEST}/OldTest.java::one",),
    red=(f"{IN_TEST}/NewTest.java::scales",),
    broken={
        f"{IN_TEST}/ForeignTest.java": "missing_third_party",
        f"{IN_TEST}/OwnTest.java": "other",
        f"{IN_TEST}/UnimportedTest.java": "other",
    },
    unit="**",
    named=(f"{IN_TEST}/KindsTest.java::cases[1]", f"{IN_TEST}/KindsTest.java::Inner::nested"),
    unnamed=(f"{IN_TEST}/OldTest.java::one", f"{IN_TEST}/KindsTest.java::two"),
    says="one is not two",
)

PROJECTS = {p.kind: p for p in (GO, CARGO, NEXTEST, NODE, JEST, VITEST, SUREFIRE)}
