"""`python -m oya.daemon`."""

import sys

from oya.daemon.process import main
from oya.leaving import leave

leave(main(sys.argv))
