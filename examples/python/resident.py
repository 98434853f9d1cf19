#!/usr/bin/env python3
"""The loop as a daemon of its own, by the rules of PEP 3143 and the library
python-daemon (Debian: python3-daemon): it outlives the terminal, has a pidfile,
and ends at SIGTERM. The interpreter stays in memory all the same.

usage: resident.py PIDFILE OUTPUT [SECONDS]
"""

import shutil
import sys
import time

import daemon
import daemon.pidfile

pidfile, output = sys.argv[1], sys.argv[2]
interval = float(sys.argv[3]) if len(sys.argv) > 3 else 300

with open(output, "a", encoding="ascii") as out:
    with daemon.DaemonContext(pidfile=daemon.pidfile.TimeoutPIDLockFile(pidfile), files_preserve=[out]):
        while True:
            usage = shutil.disk_usage("/")
            print(usage.used / usage.total, file=out, flush=True)
            time.sleep(interval)
