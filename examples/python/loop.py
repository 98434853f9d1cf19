#!/usr/bin/env python3
"""The share of a disk that is used, every five minutes: as such scripts are usually written.

The interpreter is in memory for the five minutes in which nothing happens. An
exception ends everything, the time of the measurement adds to the interval, and
the script ends with the terminal that it was started from.
"""

import shutil
import sys
import time

interval = float(sys.argv[1]) if len(sys.argv) > 1 else 300

while True:
    usage = shutil.disk_usage("/")
    print(usage.used / usage.total, flush=True)
    time.sleep(interval)
