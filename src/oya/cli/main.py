"""`oya`: the way in, and the way out: errors in words, and the right exit code.

The commands stand in `commands`; what is imported here is paid for by each of them.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from oya.cli.output import Format, complain, say
from oya.errors import OyaError
from oya.leaving import leave

INTERRUPTED = 130
STATUS = {
    ("swarm", "status"): Format.TEXT,
    ("swarm", "status", "--format", "text"): Format.TEXT,
    ("swarm", "status", "--format", "json"): Format.JSON,
    ("swarm", "status", "--format=json"): Format.JSON,
}
"""What prompts, editors and scripts ask all the time: answered without the parser, whose
imports take twice as long as the answer."""


def main() -> None:
    """The console script: run, print errors in words, end with the right exit code."""
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may be no text
        sys.stdout.reconfigure(errors="replace")
    leave(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """One command; its exit code. Errors are told on stderr, with OYA_DEBUG=1 their traceback."""
    try:
        code = _command(args)
    except OyaError as error:
        _traceback()
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
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
    if code == INTERRUPTED:  # which the parser of commands makes of a Ctrl+C, without a word
        say("oya: interrupted")
    return code if isinstance(code, int) else 0


def _command(args: list[str]) -> object:
    form = STATUS.get(tuple(args))
    if form is not None:
        from oya.cli.status import print_status

        return print_status(form)
    from oya.cli.commands import app

    return app(args, prog_name="oya", standalone_mode=False)


def _usage(error: Exception) -> str:
    """What is wrong with the command line, if that is it."""
    message = getattr(error, "format_message", None)
    if message is None:
        return ""
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(message())
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


if __name__ == "__main__":
    main()
