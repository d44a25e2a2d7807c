"""What a command leaves behind: files that git does not ignore, and processes.

The shell itself looks, in the slot, before its guard ends all that is left there.
"""

from __future__ import annotations

from typing import Final

MARK: Final = "oya: left behind"
_FILES: Final = 5
_PROCESSES: Final = 3
_WIDTH: Final = 80
_OF_TOOLS: Final = r"__pycache__|\.pytest_cache|\.hypothesis|\.coverage|\.ruff_cache"
"""Caches of test runners are no doing of the tests."""

_SCRIPT: Final = f"""\
oya_files() {{
  git ls-files --others --exclude-standard | grep -Ev '(^|/)({_OF_TOOLS})(/|$)' | head -n 1000
}} 2>/dev/null
oya_processes() {{
  for p in $(cat /proc/$PPID/task/*/children); do
    [ "$p" = "$$" ] || tr '\\0' ' ' < "/proc/$p/cmdline" | head -c {_WIDTH} | grep .
  done
}} 2>/dev/null
oya_before=$(oya_files)
(
:
{{command}}
)
oya_code=$?
if [ -n "$(oya_processes)" ]; then sleep 0.3; fi
printf '\\n%s\\n' '{MARK}'
oya_processes | head -n {_PROCESSES} | sed 's/^/process /'
oya_files | while IFS= read -r file; do
  case "
$oya_before
" in *"
$file
"*) ;; *) printf 'file %s\\n' "$file" ;; esac
done | head -n {_FILES} | cut -c 1-{_WIDTH}
exit $oya_code
"""


def watched(command: str) -> str:
    """A line for the shell that runs `command`, tells what it left, and exits as it did.

    A process that ends within 0.3 s by itself is not told of.
    """
    return _SCRIPT.replace("{command}", command)


def unwatched(line: str) -> str:
    """The command of such a line; of any other line, that line."""
    before, after = _SCRIPT.split("{command}")
    watched_ = line.startswith(before) and line.endswith(after)
    return line[len(before) : -len(after)] if watched_ else line


def left_behind(output: str) -> tuple[str, ...]:
    """What the output of such a line names: `file PATH` and `process COMMAND LINE`."""
    _, mark, said = output.rpartition(MARK)
    lines = [line.strip() for line in said.splitlines()] if mark else []
    found = [line for line in lines if line.startswith(("file ", "process "))]
    return tuple(found[: _FILES + _PROCESSES])
