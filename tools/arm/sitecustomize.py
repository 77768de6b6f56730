"""For the emulated interpreter: its children are started through the emulator as well."""

import os
import sys

sys.executable = os.environ.get("ARM_PYTHON", sys.executable)
