"""``python -m weightspace``: the console script, for launchers that start modules."""

import sys

from weightspace.cli.main import main

sys.exit(main())
