"""`oya`: every command, with what it needs imported when it runs and not before.

Heavy imports in here cost every command; `oya --help` takes Typer and nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oya.cli.output import Format, complain, say, show
from oya.errors import OyaError

app = typer.Typer(
    name="oya",
    help="Land the backlog of this repository with a supervised swarm of coding agents.",
    epilog="Begin with: oya init, then oya doctor, then oya swarm --target 1",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
swarm_app = typer.Typer(
    name="swarm",
    help="Start a swarm here, go on with an unfinished one, or attach to the running one.",
    epilog="Example: oya swarm --target 5 --implementers 2",
    no_args_is_help=False,
    rich_markup_mode=None,
)
app.add_typer(swarm_app)

FormatOption = Annotated[Format, typer.Option("--format", help="How to print the answer.")]
BeadArgument = Annotated[str, typer.Argument(metavar="BEAD", help="The id of a bead.")]
NoteOption = Annotated[str, typer.Option("--note", help="Words for the next prompt.")]


def main() -> None:
    """The console script: run, print errors in words, end with the right exit code."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """One command; its exit code. Errors are told on stderr, with OYA_DEBUG=1 their traceback."""
    try:
        code = app(args, prog_name="oya", standalone_mode=False)
    except OyaError as error:
        _traceback()
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("oya: interrupted")
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 141
    except Exception as error:
        if shown := _usage(error):
            say(shown)
            return 2
        _traceback()
        complain(
            OyaError(
                f"A defect of oya: {type(error).__name__}: {error}",
                safe="What was acknowledged is kept.",
                hint="OYA_DEBUG=1 shows where; please report it.",
            )
        )
        return 1
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> str:
    """What is wrong with the command line, if that is it."""
    message = getattr(error, "format_message", None)
    if message is None:
        return ""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "oya"
    return f"oya: {message()}\n     {path} --help"


def _traceback() -> None:
    if os.environ.get("OYA_DEBUG") == "1":
        import traceback

        traceback.print_exc()


def _silence_stdout() -> None:
    """What is still in the buffer has no reader; the interpreter must not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.callback()
def root() -> None:
    """Land the backlog of this repository with a supervised swarm of coding agents."""


# Beginning -----------------------------------------------------------------------------------


@app.command(epilog="Example: oya init && git diff --no-index /dev/null .oya/swarm.toml")
def init() -> None:
    """Look at this repository and write .oya/swarm.toml; never overwrites."""
    from oya.cli.asking import here
    from oya.cli.init import write

    write(here())


@app.command(epilog="Example: oya doctor --quick")
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not run the gates.")] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Prove that a swarm could run here: everything it needs, then the gates on the base."""
    from oya.cli.asking import here
    from oya.cli.doctor import examine

    return examine(here(), quick=quick, form=form)


@app.command(epilog="Example: oya demo --keep /tmp/larder && cd /tmp/larder/larder && oya beads")
def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Leave the repository in DIR.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> int:
    """Land 25 beads of a bundled sample repository with a recorded agent; nothing to pay."""
    from oya.demo.run import main as run_demo

    return run_demo(keep, form.value)


# The swarm -----------------------------------------------------------------------------------


@swarm_app.callback(invoke_without_command=True)
def swarm(
    ctx: typer.Context,
    bead: Annotated[
        list[str] | None, typer.Option("--bead", metavar="BEAD", help="Only this bead; repeatable.")
    ] = None,
    target: Annotated[int | None, typer.Option("--target", help="Beads to land.")] = None,
    test_writers: Annotated[int | None, typer.Option("--test-writers")] = None,
    implementers: Annotated[int | None, typer.Option("--implementers")] = None,
    reviewers: Annotated[int | None, typer.Option("--reviewers")] = None,
    planner: Annotated[
        bool | None, typer.Option("--planner/--no-planner", help="Check each contract first.")
    ] = None,
    continuous_deployment: Annotated[
        bool | None,
        typer.Option(
            "--continuous-deployment/--no-continuous-deployment",
            help="Off: reviewed beads wait for `oya approve`.",
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="BACKEND", help="The backend to use.")
    ] = None,
    resume: Annotated[
        str, typer.Option("--resume", metavar="ID|last", help="Go on with this swarm.")
    ] = "",
    new: Annotated[bool, typer.Option("--new", help="Start a new swarm in any case.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return.")] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Start a swarm here, go on with an unfinished one, or attach to the running one."""
    if ctx.invoked_subcommand is not None:
        return 0
    from oya.cli.asking import here
    from oya.cli.start import Wish, start

    flags = {
        "defaults.target_beads": target,
        "defaults.test_writers": test_writers,
        "defaults.implementers": implementers,
        "defaults.reviewers": reviewers,
        "defaults.planner": planner,
        "continuous-deployment.enabled": continuous_deployment,
        "defaults.backend": agent,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    wish = Wish(given, tuple(bead or ()), resume, new)
    return start(here(), wish, form=form, dry_run=dry_run, detach=detach)


@swarm_app.command("status", epilog="Example: oya swarm status --format json")
def swarm_status(
    watch: Annotated[bool, typer.Option("--watch", help="Stay and keep it current.")] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Show how the swarm of this repository fares."""
    from oya.cli import lines
    from oya.cli.asking import STATUS, ask, here
    from oya.cli.start import watch_running

    place = here()
    if watch and (code := watch_running(place, form)) is not None:
        return code
    show(ask(place, STATUS), form, lines.status)
    return 0


@swarm_app.command("stop", epilog="Example: oya swarm stop --now")
def swarm_stop(
    now: Annotated[bool, typer.Option("--now", help="Cancel running turns at once.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """End the swarm gracefully: no new work, running turns get their grace."""
    from oya.cli import asking

    answer = asking.ask(asking.here(), asking.stop(now))
    words = "now" if now else "when its running turns are over"
    show(answer, form, lambda _: [f"The swarm stops {words}. Watch it: oya swarm"])


@swarm_app.command("pause", epilog="Example: oya swarm pause")
def swarm_pause(form: FormatOption = Format.TEXT) -> None:
    """Claim no new work; running turns go on."""
    from oya.cli import asking

    answer = asking.ask(asking.here(), asking.PAUSE)
    show(answer, form, lambda _: ["Paused: running turns go on. oya swarm continue"])


@swarm_app.command("continue", epilog="Example: oya swarm continue")
def swarm_continue(form: FormatOption = Format.TEXT) -> None:
    """Claim work again after a pause."""
    from oya.cli import asking

    answer = asking.ask(asking.here(), asking.CONTINUE)
    show(answer, form, lambda _: ["The swarm goes on."])


@swarm_app.command("set", epilog="Example: oya swarm set target=10 implementers=2")
def swarm_set(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=N…", help="target, test_writers, implementers …")
    ],
    form: FormatOption = Format.TEXT,
) -> None:
    """Change the running swarm: its target, or how many agents of a role."""
    from oya.cli import asking
    from oya.cli.start import pairs

    answer = asking.ask(asking.here(), asking.change(pairs(changes)))
    show(answer, form, lambda found: [f"Set {key} to {n}." for key, n in found["set"].items()])


@swarm_app.command("list", epilog="Example: oya swarm list")
def swarm_list(form: FormatOption = Format.TEXT) -> None:
    """Show the swarms of all your repositories."""
    from oya.cli import lines
    from oya.cli.listing import repositories

    show({"repositories": repositories()}, form, lambda found: lines.swarms(found["repositories"]))


# Beads ---------------------------------------------------------------------------------------


@app.command(epilog="Example: oya beads --held")
def beads(
    phase: Annotated[str, typer.Option("--phase", help="contract, implementation …")] = "",
    status: Annotated[str, typer.Option("--status", help="pending, failed, held …")] = "",
    held: Annotated[bool, typer.Option("--held", help="Only those that wait for you.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """List the beads of this repository."""
    from oya.cli import lines
    from oya.cli.asking import BEADS, ask, here
    from oya.cli.choice import chosen

    rows = chosen(ask(here(), BEADS)["beads"], phase=phase, status="held" if held else status)
    show({"beads": rows}, form, lambda found: lines.bead_rows(found["beads"]))


@app.command("show", epilog="Example: oya show src-abc --diff")
def show_bead(
    bead: BeadArgument,
    diff: Annotated[bool, typer.Option("--diff", help="The change itself.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Show everything that is known of a bead."""
    from oya.cli import asking, lines

    place = asking.here()
    found = asking.ask(place, asking.bead(bead))
    if diff:
        from oya.cli.diff import diff_of

        found["diff"] = diff_of(place, found)
        show(found, form, lambda answer: [answer["diff"].rstrip("\n")])
    else:
        show(found, form, lines.bead)


@app.command(epilog="Example: oya why src-abc")
def why(bead: BeadArgument, form: FormatOption = Format.TEXT) -> None:
    """Tell the story of a bead, from its events."""
    from oya.cli import asking, lines

    show(asking.ask(asking.here(), asking.why(bead)), form, lines.why)


@app.command(epilog='Example: oya approve src-abc --note "go"')
def approve(bead: BeadArgument, note: NoteOption = "", form: FormatOption = Format.TEXT) -> None:
    """Let reviewed work land."""
    _person(bead, "approve", note, form)


@app.command(epilog='Example: oya reject src-abc --note "keep the old flag working"')
def reject(bead: BeadArgument, note: NoteOption = "", form: FormatOption = Format.TEXT) -> None:
    """Send reviewed work back, with words."""
    _person(bead, "reject", note, form)


@app.command(epilog='Example: oya retry src-abc --note "the date format is ISO 8601"')
def retry(bead: BeadArgument, note: NoteOption = "", form: FormatOption = Format.TEXT) -> None:
    """Have a failed or questioned bead tried again."""
    _person(bead, "retry", note, form)


@app.command(epilog="Example: oya hold src-abc")
def hold(bead: BeadArgument, note: NoteOption = "", form: FormatOption = Format.TEXT) -> None:
    """Keep agents away from a bead."""
    _person(bead, "hold", note, form)


@app.command(epilog="Example: oya release src-abc")
def release(bead: BeadArgument, note: NoteOption = "", form: FormatOption = Format.TEXT) -> None:
    """Give a held bead back."""
    _person(bead, "release", note, form)


def _person(bead: str, verb: str, note: str, form: Format) -> None:
    from oya.cli import asking, lines

    answer = asking.ask(asking.here(), asking.person(bead, verb, note))
    show(answer, form, lambda row: [f"{row['id']} is {lines.state(row)} in {lines.phase(row)}."])


# Looking closer ------------------------------------------------------------------------------


@app.command(epilog="Example: oya events --since 100 --format json")
def events(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Wait for more.")] = False,
    since: Annotated[int, typer.Option("--since", metavar="SEQ", help="After this number.")] = 0,
    form: FormatOption = Format.TEXT,
) -> None:
    """Print what happened, one line an event."""
    from oya.cli.asking import here
    from oya.cli.listing import print_events

    print_events(here(), since, follow=follow, form=form)


@app.command(epilog="Example: oya logs implementer-1 -f")
def logs(
    what: Annotated[str, typer.Argument(metavar="[BEAD|AGENT]", help="Whose; the daemon's.")] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Wait for more.")] = False,
) -> None:
    """Print what the daemon, or the backend on a bead or of an agent, has said."""
    from oya.cli.asking import here
    from oya.cli.logs import print_logs

    print_logs(here(), what, follow=follow)


@app.command(epilog="Example: oya schema reviewer")
def schema(
    role: Annotated[
        str, typer.Argument(metavar="ROLE", help="test_writer, implementer, reviewer, planner.")
    ],
) -> None:
    """Print the JSON schema of a role's answer."""
    from oya.cli.choice import schema_of

    show(schema_of(role), Format.TEXT, _pretty)


def _pretty(value: Any) -> list[str]:
    import json

    return [json.dumps(value, indent=2, ensure_ascii=False)]


@app.command(epilog="Example: oya sync")
def sync(form: FormatOption = Format.TEXT) -> None:
    """Let your checkout follow what has landed, or say what is in the way."""
    from oya.cli import asking

    show(asking.ask(asking.here(), asking.SYNC), form, _followed)


def _followed(found: dict[str, Any]) -> list[str]:
    if found["branch"] is None:
        return [f"Nothing to do: {found['why']}."]
    if found["behind"]:
        return [f"{found['branch']} is {found['behind']} behind: {found['why']}."]
    return [f"{found['branch']} has everything that landed."]


if __name__ == "__main__":
    main()
