"""Starts the local exchange as its users do and runs every conformance script against it.

    python .ci/conformance/run.py [the evenkeel binary]
"""

import json
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
binary = sys.argv[1] if len(sys.argv) > 1 else here.parent.parent / "target/release/evenkeel"
server = subprocess.Popen([binary, "exchange", "--config", here / "exchange.toml", "--json"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
worst = 0
try:
    line = server.stdout.readline()
    if not line:
        sys.exit("the exchange ended before it told its addresses")
    addresses = {f"EVENKEEL_{name.upper()}": url for name, url in json.loads(line).items()}
    for script in sorted(here.glob("client_*.py")):
        print(f"-- {script.stem}", flush=True)
        ended = subprocess.run([sys.executable, script], env=os.environ | addresses, timeout=300,
                               check=False)
        worst = max(worst, abs(ended.returncode))
finally:
    server.terminate()
    if server.wait(timeout=30) != 0:
        worst = max(worst, 1)
        print(f"FAIL  the exchange ended with {server.returncode}", flush=True)
sys.exit(worst)
