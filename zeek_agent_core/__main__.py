"""``python -m zeek_agent_core`` is ``zeek-agent``."""

import sys

from zeek_agent_core.cli import main

sys.exit(main())
