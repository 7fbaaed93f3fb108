"""Starts the local exchange and runs every conformance script against it.

    python .ci/conformance/run.py BINARY

BINARY is the built `evenkeel`; the exchange runs on `.ci/conformance/exchange.toml`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tomllib

here = pathlib.Path(__file__).parent
config = here / "exchange.toml"
account = tomllib.loads(config.read_text())["accounts"][0]
server = subprocess.Popen([sys.argv[1], "exchange", "--config", str(config), "--json"],
                          stdout=subprocess.PIPE, text=True)
try:
    served = json.loads(server.stdout.readline())
    environment = dict(
        os.environ,
        EVENKEEL_SPOT_REST=served["spot_rest"],
        EVENKEEL_SPOT_WS=served["spot_streams"],
        EVENKEEL_SPOT_WS_API=served["spot_ws_api"],
        EVENKEEL_USDM_REST=served["usdm_rest"],
        EVENKEEL_USDM_WS=served["usdm_streams"],
        EVENKEEL_API_KEY=account["key"],
        EVENKEEL_API_SECRET=account["secret"],
    )
    worst = 0
    for script in ("ccxt_rest", "ccxt_streams", "official_spot", "official_usdm"):
        ended = subprocess.run([sys.executable, str(here / f"{script}.py")], env=environment,
                               timeout=300, check=False)
        worst = max(worst, ended.returncode)
finally:
    server.terminate()
    server.wait(timeout=30)
sys.exit(worst)
