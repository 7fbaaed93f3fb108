"""What every conformance script shares: where the exchange is, and counting checks.

The addresses come from the environment (EVENKEEL_SPOT_REST, EVENKEEL_SPOT_STREAMS,
EVENKEEL_SPOT_WS_API, EVENKEEL_USDM_REST, EVENKEEL_USDM_STREAMS) as `run.py` sets them.
"""

import os
import sys
import traceback

SPOT_REST = os.environ["EVENKEEL_SPOT_REST"]
SPOT_WS = os.environ["EVENKEEL_SPOT_STREAMS"]
SPOT_WS_API = os.environ["EVENKEEL_SPOT_WS_API"]
USDM_REST = os.environ["EVENKEEL_USDM_REST"]
USDM_WS = os.environ["EVENKEEL_USDM_STREAMS"]
# The accounts of exchange.toml: the second is somebody else, who trades against the first.
KEY, SECRET = "toy-key-of-the-first", "toy-secret-of-the-first"
OTHER_KEY, OTHER_SECRET = "toy-key-of-the-second", "toy-secret-of-the-second"

passed, failed = 0, 0


def report(name, problem=None):
    global passed, failed
    if problem is None:
        passed += 1
        print(f"ok    {name}", flush=True)
    else:
        failed += 1
        print(f"FAIL  {name}: {problem}", flush=True)


def check(name, step):
    """Runs a step and counts it; returns its result, or None when it failed."""
    try:
        result = step()
    except Exception as error:  # noqa: BLE001, every failure of a client counts
        if os.environ.get("EVENKEEL_TRACE"):
            traceback.print_exc()
        report(name, f"{type(error).__name__}: {str(error)[:300]}")
        return None
    report(name)
    return result


async def check_async(name, step):
    """The same for a coroutine function."""
    try:
        result = await step()
    except Exception as error:  # noqa: BLE001
        if os.environ.get("EVENKEEL_TRACE"):
            traceback.print_exc()
        report(name, f"{type(error).__name__}: {str(error)[:300]}")
        return None
    report(name)
    return result


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def finish():
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
