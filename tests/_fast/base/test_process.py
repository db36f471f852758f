"""What a process can do about itself."""

import subprocess
import sys

MEASURE = """
import re, decimal, json
from pathlib import Path
from tulle._fast.base import process

def of_files():
    return int(re.search(r"RssFile:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = of_files()
process.unmap_read_pages()
after = of_files()
decimal.Decimal(1).sqrt(), json.dumps([1.5]), re.compile("a+b").match("aab")
import html.parser, wave
print(before, after)
"""


def test_pages_that_were_only_read_go_and_come_back() -> None:
    found = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    before, after = map(int, found.stdout.split())
    assert after < before * 2 / 3
