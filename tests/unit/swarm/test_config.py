"""The configuration: what is taken, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from oya.errors import ConfigError
from oya.gates import moon
from oya.gates.reports.kinds import KINDS
from oya.lifecycle.model import Role
from oya.swarm.config import WRITTEN_TO_A_FILE, ReportKind, Settings, load
from oya.swarm.config_file import TODAY

CODEX = '[defaults]\nbackend = "codex"\n[backends.codex]\nkind = "acp"\ncommand = ["codex-acp"]\n'
READY = f'{CODEX}[sandbox]\nkind = "none"\n[quality-gates]\nci = ["make test"]\n'


@pytest.fixture
def read(tmp_path: Path) -> Any:
    path = tmp_path / "swarm.toml"

    def reader(text: str, *, complete: bool = False, **flags: object) -> Settings:
        path.write_text(text)
        dotted = {key.replace("__", "."): value for key, value in flags.items()}
        return load(path, dotted, complete=complete)

    return reader


def refused(read: Any, text: str, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text, **options)
    assert caught.value.exit_code == 2
    return caught.value


def test_defaults_are_those_of_the_reference() -> None:
    settings = load(None, {}, complete=False)
    assert settings.defaults.target_beads == 25
    assert (settings.defaults.test_writers, settings.defaults.implementers) == (4, 4)
    assert settings.quality_gates.timeout == 1800.0
    assert settings.execution.stall_timeout == 300.0
    assert settings.workspace.max_file == 10_000_000
    assert settings.sandbox.kind is None
    assert settings.limits.max_attempts == 3
    assert set(settings.provenance.values()) == {"default"}


def test_the_reference_file_is_taken_whole(read: Any) -> None:
    settings = read(REFERENCE, complete=True)
    assert settings.backend_of(Role.REVIEWER) == "claude"
    assert settings.backend_of(Role.PLANNER) == "codex"
    assert settings.backends["codex"].max_sessions == 8
    assert settings.quality_gates.tests.report == "junit"
    assert settings.skills["test_writer"].files == (".oya/skills/contract.md",)
    assert settings.skills["reviewer"].replace
    assert settings.continuous_deployment.enabled is False
    assert settings.roles["reviewer"].attempt_timeout == 5400.0


def test_flags_win_over_the_file_and_the_file_over_defaults(read: Any) -> None:
    settings = read("[defaults]\ntarget_beads = 7\nimplementers = 2\n", defaults__target_beads=3)
    assert settings.defaults.target_beads == 3
    assert settings.provenance["defaults.target_beads"] == "flag"
    assert settings.provenance["defaults.implementers"] == "file"
    assert settings.provenance["defaults.reviewers"] == "default"
    assert set(settings.provenance) == set(settings.values)


def test_a_flag_that_was_not_given_changes_nothing(read: Any) -> None:
    settings = read("[defaults]\ntarget_beads = 7\n", defaults__target_beads=None)
    assert settings.defaults.target_beads == 7
    assert settings.provenance["defaults.target_beads"] == "file"


def test_a_continuous_deployment_flag_reaches_its_dashed_section(read: Any) -> None:
    settings = load(None, {"continuous-deployment.enabled": False}, complete=False)
    assert settings.continuous_deployment.enabled is False


def test_the_hash_pins_values_and_not_their_source(read: Any) -> None:
    default, written = read(""), read("[defaults]\ntarget_beads = 25\n")
    other = read("[defaults]\ntarget_beads = 24\n")
    assert default.pinned == written.pinned
    assert default.pinned != other.pinned


def test_settings_are_frozen() -> None:
    settings = load(None, {}, complete=False)
    with pytest.raises(ValueError, match="frozen"):
        settings.defaults.target_beads = 3


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            "[quality-gates]\n\nquik = []\n",
            3,
            "`quality-gates.quik` is not known; did you mean `quality-gates.quick`?",
        ),
        ("[exection]\n", 1, "`exection` is not known; did you mean `execution`?"),
        (
            "[quality_gates]\n",
            1,
            "`quality_gates` is not known; did you mean `quality-gates`?",
        ),
        (
            '[roles.reviwer]\nbackend = "x"\n',
            1,
            "`roles.reviwer` is not known; did you mean `roles.reviewer`?",
        ),
        (
            f"{CODEX}comand = []\n",
            6,
            "`backends.codex.comand` is not known; did you mean `backends.codex.command`?",
        ),
        (
            '[quality-gates.tests]\nkommand = "x"\n',
            2,
            "`quality-gates.tests.kommand` is not known; "
            "did you mean `quality-gates.tests.command`?",
        ),
        (
            '[defaults]\ntarget_beads = "3"\n',
            2,
            '`defaults.target_beads` must be a whole number, not "3"',
        ),
        ("[defaults]\ntarget_beads = 0\n", 2, "must be at least 1, not 0"),
        ("[defaults]\ntarget_beads = -4\n", 2, "must be at least 1, not -4"),
        ("[defaults]\nplanner = 1\n", 2, "must be true or false, not 1"),
        ('[quality-gates]\nci = "make"\n', 2, "must be a list"),
        ('[tracker]\nkind = "jira"\n', 2, "`tracker.kind` must be one of"),
        ("defaults = 3\n", 1, "`defaults` must be a table, not 3"),
        ("[execution]\ngrace = 30\n", 2, "must be a duration"),
        ('[execution]\ngrace = "30"\n', 2, "must be a duration"),
        ('[execution]\nlease = "0s"\n', 2, "must be more than 0"),
        ('[workspace]\nmax_file = "10"\n', 2, "must be a size"),
        ('[tracker]\nwhere = "typ in x"\n', 2, "`tracker.where` cannot be read: column 1"),
        ('[backends.x]\nkind = "acp"\n', 1, "kind acp needs `command`"),
        ('[backends.x]\nkind = "scripted"\n', 1, "kind scripted needs `scenario`"),
        (
            '[backends.x]\nkind = "scripted"\nscenario = "s"\ncommand = ["x"]\n',
            1,
            "takes no `command`",
        ),
        (
            '[backends.x]\nkind = "command"\nscenario = "s"\ncommand = ["x"]\n',
            1,
            "plays no `scenario`",
        ),
        (
            '[quality-gates.tests]\ncommand = "pytest {tests}"\n',
            1,
            "needs {report} in `command`",
        ),
        (
            '[quality-gates.tests]\nreport = "vitest"\ncommand = "vitest {tests}"\n',
            1,
            "needs {report} in `command`",
        ),
        ('[workspace]\ncopy = ["../.env"]\n', 2, "must be a path from the root"),
        ('[workspace]\ncopy = [".oya/swarm.toml"]\n', 2, "must be a path from the root"),
        ("[skills]\nplanner = {replace = true}\n", 2, "`replace` needs `files`"),
        (
            '[defaults]\nbackend = "cdex"\n[backends.codex]\nkind = "acp"\ncommand = ["x"]\n',
            2,
            "names an unknown backend, `cdex`; did you mean `codex`?",
        ),
        (
            '[roles.planner]\nbackend = "x"\n',
            2,
            "`roles.planner.backend` names an unknown backend, `x`; define it in [backends.x]",
        ),
    ],
)
def test_mistakes_are_named_with_their_line(read: Any, text: str, line: int, said: str) -> None:
    error = refused(read, text)
    assert f".oya/swarm.toml, line {line}: `" in str(error)
    assert said in str(error)
    assert error.safe == "Nothing was changed."


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[tracker]\nkind = "bd"\n', "tracker.kind"),
        ('[workspace]\nkind = "jj"\n', "workspace.kind"),
        ("[planner]\nsplit = true\n", "planner.split"),
        ("[budget]\ntokens = 5\n", "budget.tokens"),
        ('[store]\nurl = "ws://x"\n', "store.url"),
        ('[backends.x]\nkind = "headless"\ncommand = ["x"]\n', "backends.x.kind"),
    ],
)
def test_what_is_not_built_is_refused(read: Any, text: str, key: str) -> None:
    error = refused(read, text)
    assert f"`{key}` = " in str(error)
    assert "is not built yet" in str(error)


def with_moon(root: Path, text: str = "") -> Settings:
    (root / ".moon").mkdir(exist_ok=True)
    (root / ".oya").mkdir(exist_ok=True)
    (root / ".oya" / "swarm.toml").write_text(text)
    return load(root / ".oya" / "swarm.toml", {}, complete=False)


def test_a_repository_with_moon_is_judged_by_moon(tmp_path: Path) -> None:
    gates = with_moon(tmp_path).quality_gates
    assert (gates.moon, gates.history) == ("on", True)
    assert (gates.quick, gates.ci) == ((moon.QUICK,), (moon.CI,))


def test_gates_that_are_written_down_stay_beside_moon(tmp_path: Path) -> None:
    gates = with_moon(tmp_path, '[quality-gates]\nci = ["make test"]\n').quality_gates
    assert (gates.quick, gates.ci) == ((moon.QUICK,), ("make test",))
    assert not gates.history
    gates = with_moon(tmp_path, '[quality-gates]\nci = ["moon ci :test"]\n').quality_gates
    assert gates.history


def test_moon_can_be_off_and_without_it_auto_is(tmp_path: Path, read: Any) -> None:
    gates = with_moon(tmp_path, '[quality-gates]\nmoon = "off"\n').quality_gates
    assert (gates.moon, gates.quick, gates.ci, gates.history) == ("off", (), (), False)
    assert read("").quality_gates.moon == "off"
    assert read('[quality-gates]\nmoon = "on"\n').quality_gates.ci == (moon.CI,)


def test_the_default_of_what_is_not_built_may_be_written_down(read: Any) -> None:
    settings = read('[landing]\nbatch = 1\nprove = ""\n[store]\nretention = "30d"\n[budget]\n')
    assert settings.landing.batch == 1


def test_kinds_that_land_alone_and_protected_paths(read: Any) -> None:
    settings = read('[contract]\nunattended = ["none"]\n[landing]\nprotected = ["db/**"]\n')
    assert settings.contract.unattended == ("none",)
    assert settings.rules["unattended"] == ["none"]
    assert settings.landing.protected == ("db/**",)
    assert "must be" in str(refused(read, '[contract]\nunattended = ["some"]\n'))


@pytest.mark.parametrize("tests", ["", '[quality-gates.tests]\ncommand = "t"\nreport = "none"\n'])
def test_a_base_may_be_red_only_where_a_report_tells_what_is_red(read: Any, tests: str) -> None:
    error = refused(read, f'[quality-gates]\nbaseline = "no-worse"\n{tests}')
    assert '`quality-gates.baseline` = "no-worse" needs a tests gate with a report' in str(error)


def test_a_base_may_be_red(read: Any) -> None:
    tests = '[quality-gates.tests]\ncommand = "t {report}"\n'
    settings = read(f'[quality-gates]\nbaseline = "no-worse"\n{tests}')
    assert (settings.no_worse, settings.rules["baseline"]) == (True, "no-worse")
    assert not read(tests).no_worse


def test_every_key_that_is_not_built_is_a_key() -> None:
    known = {*load(None, {}, complete=False).values, "backends.*.kind"}
    assert set(TODAY) <= known


def test_a_mistake_in_a_flag_names_the_flag() -> None:
    with pytest.raises(ConfigError, match=r"^--target must be at least 1, not 0$"):
        load(None, {"defaults.target_beads": 0})


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(read: Any) -> None:
    error = refused(read, "[defaults]\nplanner = 3\ntarget = 4\n[lnding]\n")
    assert [part.partition(":")[0] for part in str(error).splitlines()] == [
        f".oya/swarm.toml, line {line}" for line in (2, 3, 4)
    ]


def test_broken_toml_is_told_with_its_place(read: Any) -> None:
    assert "line 2" in str(refused(read, "[defaults]\ntarget_beads = = 3\n"))


def test_no_backend_is_asked_for_by_name(read: Any) -> None:
    error = refused(read, "", complete=True)
    assert "No backend is named" in str(error)
    assert '[defaults]\nbackend = "' in error.hint


def test_a_backend_that_is_defined_and_not_chosen_is_not_guessed(read: Any) -> None:
    text = READY.replace('backend = "codex"\n', "")
    assert 'backend = "codex"' in refused(read, text, complete=True).hint


def test_a_real_backend_needs_the_sandbox_written_down(read: Any) -> None:
    text = READY.replace('[sandbox]\nkind = "none"\n', "")
    error = refused(read, text, complete=True)
    assert "in a sandbox, or without one" in str(error)
    assert '[sandbox]\nkind = "auto"' in error.hint
    assert '"none"' in error.hint
    assert read(READY, complete=True).sandbox.kind == "none"


@pytest.mark.parametrize("kind", ["auto", "bwrap"])
def test_a_sandbox_can_be_written_down(read: Any, kind: str) -> None:
    more = 'gates_network = true\nreadable = ["~/.npmrc"]\nwritable = ["/srv/x"]\n'
    text = READY.replace('kind = "none"\n', f'kind = "{kind}"\n{more}')
    sandbox = read(text, complete=True).sandbox
    assert (sandbox.kind, sandbox.gates_network) == (kind, True)
    assert (sandbox.readable, sandbox.writable) == (("~/.npmrc",), ("/srv/x",))


@pytest.mark.parametrize(
    "line", ["gates_network = true", 'readable = ["~/.npmrc"]', 'writable = ["x"]']
)
def test_what_is_said_of_a_sandbox_needs_one(read: Any, line: str) -> None:
    for kind in ("", 'kind = "none"\n'):
        error = refused(read, f"[sandbox]\n{kind}{line}\n")
        assert f"`sandbox.{line.split()[0]}` says something only beside" in str(error)


def test_the_recorded_agent_needs_no_sandbox(read: Any) -> None:
    text = '[defaults]\nbackend = "x"\n[backends.x]\nkind = "scripted"\nscenario = "s.json"\n'
    assert read(f'{text}[quality-gates]\nci = ["true"]\n', complete=True)


def test_a_role_that_is_off_needs_no_backend(read: Any) -> None:
    text = READY.replace('backend = "codex"\n', "planner = false\n")
    roles = "".join(
        f'[roles.{role}]\nbackend = "codex"\n'
        for role in ("test_writer", "implementer", "reviewer")
    )
    assert read(text + roles, complete=True).backend_of(Role.PLANNER) is None


def test_without_any_gate_nothing_starts(read: Any) -> None:
    text = READY.replace('ci = ["make test"]', "")
    assert "No gate judges the work" in str(refused(read, text, complete=True))


def test_a_file_that_is_not_there_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing.toml", {}, complete=False).defaults.target_beads == 25


REFERENCE = """\
[defaults]                      # the names of the original
target_beads = 25
test_writers = 4
implementers = 4
reviewers = 4
planner = true
backend = "codex"

[roles.reviewer]
backend = "claude"
attempt_timeout = "1.5h"

[backends.codex]
kind = "acp"
command = ["codex-acp"]
max_sessions = 8
env = ["OPENAI_API_KEY"]

[backends.claude]
kind = "command"
command = ["./run-claude"]

[tracker]
kind = "auto"
where = "type in task,bug,feature,chore,docs"

[workspace]
kind = "git"
max_file = "10MB"
prepare = ["uv sync"]
cleanup = ["make clean-db"]
copy = [".env.test"]
keep = [".venv", "node_modules", "target"]

[quality-gates]
quick = ["make check"]
ci = ["make test"]
timeout = "30m"
slots = 0
history = false
baseline = "green"
red_queen = true
moon = "auto"
[quality-gates.tests]
command = "python -m pytest {tests} --junitxml={report}"
report = "junit"

[contract]
unattended = ["behaviour", "check"]
repeat = 3

[planner]
timeout = "10m"
split = false
[review]
rounds = 1
variants = 20
max_contests = 3

[landing]
branch = ""
remote = ""
batch = 8
prove = ""
max_rebases = 3
protected = []
follow = true
message = ""

[continuous-deployment]
enabled = false
[execution]
max_attempts = 3
fix_rounds = 2
attempt_timeout = "30m"
stall_timeout = "5m"
grace = "30s"
meltdown_window = "10m"
lease = "2m"
[sandbox]
kind = "none"
gates_network = false
[budget]
[skills]
test_writer = [".oya/skills/contract.md"]
reviewer = {files = [".oya/skills/review.md"], replace = true}
[store]
url = ""
sync = true
retention = "30d"
"""


def test_the_words_for_reports_are_those_of_the_gates() -> None:
    """Written down twice, since reading a configuration must not load every parser."""
    assert {*get_args(ReportKind)} == {*KINDS, "none"}
    assert {*WRITTEN_TO_A_FILE} == {name for name, kind in KINDS.items() if kind.file}
