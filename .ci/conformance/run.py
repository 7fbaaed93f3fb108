"""Starts the local exchange and runs every conformance script against it.

    python .ci/conformance/run.py [command that prints EVENKEEL_…=… lines and serves until its
                                   standard input closes]

Without a command, the test hook of the repository is used.
"""

import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
command = sys.argv[1:] or [
    "cargo", "test", "--test", "it", "exchange::serve_for_conformance", "--",
    "--ignored", "--nocapture",
]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=here.parent.parent)
environment = dict(os.environ)
for line in server.stdout:
    name, _, value = line.strip().partition("=")
    if name.startswith("EVENKEEL_"):
        environment[name] = value
    if name == "EVENKEEL_API_SECRET":
        break
else:
    sys.exit("the exchange ended before it told its addresses")

worst = 0
for script in ("ccxt_rest", "ccxt_streams", "official_spot", "official_usdm"):
    ended = subprocess.run([sys.executable, str(here / f"{script}.py")], env=environment,
                           timeout=300, check=False)
    worst = max(worst, ended.returncode)
server.stdin.close()
server.wait(timeout=30)
sys.exit(worst)
