#!/usr/bin/env python3
"""The share of a disk that is used, once: for a sensor with the driver command.

One number on standard output is the reading. Where there is none, an exception
ends the program with status 1, and the reading is absent.
"""

import shutil

usage = shutil.disk_usage("/")
print(usage.used / usage.total)
