"""Holds every configuration that ships against the schema that the binary prints, with somebody
else's validator. Usage: check.py EVENKEEL"""

import json
import pathlib
import subprocess
import sys
import tomllib

import jsonschema

evenkeel = sys.argv[1]
root = pathlib.Path(__file__).resolve().parents[2]


def schema(*more):
    told = subprocess.run([evenkeel, "config", "schema", *more], check=True, capture_output=True)
    parsed = json.loads(told.stdout)
    jsonschema.Draft202012Validator.check_schema(parsed)
    return jsonschema.Draft202012Validator(parsed)


def problems(validator, text):
    return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(tomllib.loads(text))]


daemon, exchange = schema(), schema("--exchange")
for path in sorted((root / "config").glob("*.toml")):
    wrong = problems(exchange if path.name == "exchange.toml" else daemon, path.read_text())
    assert not wrong, f"{path.name}: {wrong}"
    print(f"ok    {path.name}")

for mode in ("local", "testnet"):
    made = subprocess.run(
        [evenkeel, "config", "init", "--mode", mode, "--symbol", "ETHUSDT"],
        check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )
    wrong = problems(daemon, made.stdout)
    assert not wrong, f"starter for {mode}: {wrong}"
    print(f"ok    starter for {mode}")

good = (root / "config" / "demo.toml").read_text()
for bad in (
    good.replace("min_half_spread_bps", "min_half_spred_bps"),
    good.replace("max_open_orders = 10", "max_open_orders = 0"),
    good.replace('role = "hedge"', 'role = "hedger"'),
    good.replace("recv_window_ms = 5000", "recv_window_ms = 5000.5"),
):
    assert problems(daemon, bad), "a bad file passes the schema"
print("ok    bad files are refused")
