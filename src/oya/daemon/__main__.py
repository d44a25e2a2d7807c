"""`python -m oya.daemon`."""

import sys

from oya.daemon.process import main

sys.exit(main(sys.argv))
