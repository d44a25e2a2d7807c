"""Every command but the swarm's own, with what it needs imported when it runs and not before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oya.cli.output import Format, show
from oya.cli.state_commands import state_app
from oya.cli.swarm_commands import FormatOption, swarm_app

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
app.add_typer(swarm_app)
app.add_typer(state_app)

BeadArgument = Annotated[str, typer.Argument(metavar="BEAD", help="The id of a bead.")]
NoteOption = Annotated[str, typer.Option("--note", help="Words for the next prompt.")]


@app.callback()
def root() -> None:
    """Land the backlog of this repository with a supervised swarm of coding agents."""


# Beginning -----------------------------------------------------------------------------------


@app.command(epilog="Example: oya init && git diff --no-index /dev/null .oya/swarm.toml")
def init() -> None:
    """Look around and write .oya/swarm.toml.

    Never overwrites: where there is one, it prints what it would change.
    """
    from oya.cli.asking import here
    from oya.cli.init import write

    write(here())


@app.command(epilog="Example: oya doctor --quick")
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not run the gates.")] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Prove that a swarm could run here.

    Looks at git, tracker, agents, slots, disk and memory, then runs the gates on the base.
    """
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
    """Land 25 beads of a bundled sample.

    A repository of its own, a recorded agent, nothing to pay.
    """
    from oya.demo.run import main as run_demo

    return run_demo(keep, form.value)


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

    every = ask(here(), BEADS)["beads"]
    rows = chosen(every, phase=phase, status="held" if held else status)
    show({"beads": rows}, form, lambda found: lines.bead_rows(found["beads"], of=len(every)))


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
        show(found, form, lambda answer: [answer["diff"].rstrip("\n")], exact=True)
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
    show(answer, form, lambda row: [lines.standing(row)])


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
    """Print what daemon and backends have said."""
    from oya.cli.asking import here
    from oya.cli.logs import print_logs

    print_logs(here(), what, follow=follow)


@app.command(epilog="Example: oya verify --rerun")
def verify(
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run the gates of each landed commit again.")
    ] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Hold what happened here against what is promised.

    Looks at the event log, every state, git and the tracker; exit 1 if a promise is broken.
    """
    from oya.cli.asking import here
    from oya.cli.verify import verify as check

    return check(here(), rerun=rerun, form=form)


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
def sync(form: FormatOption = Format.TEXT) -> int:
    """Let your checkout follow what landed.

    Or say what is in the way, and end with 1. After a rewrite of the branch: take it as it is.
    """
    from oya.cli import asking

    found = asking.ask(asking.here(), asking.SYNC)
    show(found, form, _followed)
    return 1 if found["behind"] else 0


def _followed(found: dict[str, Any]) -> list[str]:
    if found["branch"] is None:
        return [f"Nothing to do: {found['why']}."]
    if found["behind"]:
        return [
            f"{found['branch']} is {found['behind']} behind: {found['why']}.",
            "Nothing was changed. Once that is out of the way: oya sync",
        ]
    note = found.get("note")
    words = f"{found['branch']} has everything that landed"
    return [f"{words}; {note}." if note else f"{words}."]
