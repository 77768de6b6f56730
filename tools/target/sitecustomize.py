"""For the target's interpreter: its children are started through the same wrapper."""

import os
import sys

sys.executable = os.environ.get("TARGET_PYTHON", sys.executable)
