"""A Rust repository: a fix round, a conflict, two beads red together, a contested review."""

from __future__ import annotations

import pytest
from kit.kitchen import Language, lands_all, output
from kit.user import User

CARGO = """\
[package]
name = "kitchen"
version = "0.1.0"
edition = "2021"

[lib]
doctest = false

[profile.dev]
debug = false
"""
LOCK = 'version = 3\n\n[[package]]\nname = "kitchen"\nversion = "0.1.0"\n'
CUP = """\
pub mod eggs;

pub fn cup() -> u32 {
    200
}

// more measures
"""
JUG = """\
pub fn jug(n: u32) -> u32 {
    let per = 2 * cup();
    n * per
}
"""


def _test(bead: str, module: str, claim: str) -> tuple[str, str, str]:
    path = f"tests/{bead}.rs"
    text = f"use {module}::{bead};\n\n#[test]\nfn holds() {{\n    assert_eq!({claim});\n}}\n"
    return path, text, f"{path}::holds"


RUST = Language(
    tools=("cargo", "rustc", "cc"),
    files={
        "Cargo.toml": CARGO,
        "Cargo.lock": LOCK,
        "src/lib.rs": CUP,
        "src/eggs.rs": "",
        "tests/here.rs": (
            "use kitchen::cup;\n\n#[test]\nfn here() {\n    assert!(cup() > 100);\n}\n"
        ),
        ".gitignore": "target/\n",
    },
    measures="src/lib.rs",
    more="// more measures\n",
    jug=JUG,
    spoon="\npub fn spoon(n: u32) -> u32 { n * 15 }\n",
    cup=("    200\n", "    250\n"),
    per=("per = cup()", "per = 2 * cup()", "per = 400"),
    eggs="src/eggs.rs",
    by_heart="pub fn dozen(_n: u32) -> u32 {\n    24\n}\n",
    counted="pub fn dozen(n: u32) -> u32 {\n    12 * n\n}\n",
    tests={
        "jug": _test("jug", "kitchen", "jug(3), 1200"),
        "spoon": _test("spoon", "kitchen", "spoon(2), 30"),
        "cup": _test("cup", "kitchen", "cup(), 250"),
        "dozen": _test("dozen", "kitchen::eggs", "dozen(2), 24"),
    },
    challenge=(
        "mkdir -p examples && echo 'fn main() { assert_eq!(kitchen::eggs::dozen(5), 60); }' "
        "> examples/try_it.rs && cargo run -q --example try_it"
    ),
    guessed=(
        'quality-gates.quick = ["cargo check --all-targets"]  (Cargo.toml is here)',
        'quality-gates.ci = ["cargo test"]  (Cargo.toml is here)',
        'workspace.prepare = ["cargo fetch --locked"]  (Cargo.lock is here)',
        "cargo test --no-fail-fast --message-format json {tests}",
        'quality-gates.tests.report = "cargo"',
    ),
    suite=("cargo", "test", "-q"),
    # Not through rustup, which looks for its toolchains below a home that is not this user's.
    path=lambda: (f"{output('rustc', '--print', 'sysroot')}/bin",),
)


@pytest.mark.timeout(600)
def test_all_four_land_and_every_commit_is_green(user: User) -> None:
    lands_all(user, RUST)
