"""`oya swarm` and what stands below it."""

from __future__ import annotations

from typing import Annotated

import typer

from oya.cli.output import Format, show

FormatOption = Annotated[Format, typer.Option("--format", help="How to print the answer.")]

swarm_app = typer.Typer(
    name="swarm",
    help="""Start a swarm, go on with one, or attach.

    Starts one here, goes on with an unfinished one, or attaches to the running one.
    """,
    epilog="Example: oya swarm --target 5 --implementers 2",
    no_args_is_help=False,
    rich_markup_mode=None,
)


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
    """Start a swarm, go on with one, or attach.

    Starts one here, goes on with an unfinished one, or attaches to the running one.
    """
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
    """Show how the swarm here fares."""
    if watch:
        from oya.cli.asking import here
        from oya.cli.start import watch_running

        if (code := watch_running(here(), form)) is not None:
            return code
    from oya.cli.status import print_status

    return print_status(form)


@swarm_app.command("stop", epilog="Example: oya swarm stop --now")
def swarm_stop(
    now: Annotated[bool, typer.Option("--now", help="Cancel running turns at once.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """End the swarm.

    No new work is claimed; running turns get their grace, and their work is kept.
    """
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
    """Change the running swarm.

    Its target, or how many agents of a role there are.
    """
    from oya.cli import asking
    from oya.cli.start import pairs

    answer = asking.ask(asking.here(), asking.change(pairs(changes)))
    show(answer, form, lambda found: [f"Set {key} to {n}." for key, n in found["set"].items()])


@swarm_app.command("list", epilog="Example: oya swarm list")
def swarm_list(form: FormatOption = Format.TEXT) -> None:
    """Show the swarms of your repositories."""
    from oya.cli import lines
    from oya.cli.listing import repositories

    show({"repositories": repositories()}, form, lambda found: lines.swarms(found["repositories"]))
