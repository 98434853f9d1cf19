#!/usr/bin/env python3
"""Removes files of a directory that are older than a week: for a task.

The exit status is the result. What is printed is kept, and shown by
`dormouse status cleanup`.
"""

import pathlib
import sys
import time

WEEK = 7 * 24 * 3600

directory = pathlib.Path(sys.argv[1])
removed = 0
for path in directory.iterdir():
    if path.is_file() and time.time() - path.stat().st_mtime > WEEK:
        path.unlink()
        removed += 1
print(f"{removed} files removed from {directory}")
