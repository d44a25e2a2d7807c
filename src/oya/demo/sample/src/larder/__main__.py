"""python -m larder COMMAND …"""

import sys
from importlib import import_module
from pkgutil import iter_modules

from larder import commands
from larder.errors import LarderError


def main(arguments: list[str]) -> int:
    """Run a command; 0 if it worked, 1 if larder refused it, 2 if there is no such command."""
    known = sorted(module.name for module in iter_modules(commands.__path__))
    if not arguments or arguments[0] not in known:
        print(f"usage: larder {'|'.join(known)} …", file=sys.stderr)
        return 2
    try:
        print(import_module(f"larder.commands.{arguments[0]}").run(arguments[1:]), end="")
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
