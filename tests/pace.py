"""How slow this machine is just now: what a test asks of the clock is asked as often more gently.

`scripts/test.sh` measures it; on a machine that is as quick as the figures in docs/ were taken on it is 1.
"""

import os

PACE = max(1.0, float(os.environ.get("VIGIL_TEST_PACE", "1")))
