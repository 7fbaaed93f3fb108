"""Seeds that need not be committed: the venue's documented payloads and the shipped settings."""

import json
import pathlib
import sys

target, shared, corpus = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
root = pathlib.Path(__file__).resolve().parents[2]


def seed(name: str, text: str) -> None:
    (corpus / f"seed-{name}").write_text(text)


def payloads(head: str) -> list[tuple[str, str]]:
    files = sorted((shared / "protocol/fixtures/binance").glob(f"{head}*.json"))
    found = []
    for file in files:
        try:
            found.append((file.stem, json.dumps(json.loads(file.read_text()))))
        except ValueError:
            continue
    return [(name, text) for name, text in found if len(text) < 3500]


venue = target.split("_")[0]
if target.endswith("_frames"):
    for name, text in payloads(f"{venue}_stream"):
        stream = '{"stream":"btcusdt@x","data":%s}' % text
        seed(name, f"m{text}\nm{stream}\ns{stream}\n")
    for name, text in payloads(f"{venue}_user"):
        seed(name, f"p1\nr200{{}}\nu{text}\nx1\n")
elif target.endswith("_replies"):
    for name, text in payloads(f"{venue}_rest"):
        seed(name, f"r200{text}\nr400{text}\nR\n" + f"r200{text}\n" * 4)
elif target == "config":
    seed("demo", (root / "config/demo.toml").read_text())
    seed("testnet", (root / "config/binance-testnet.toml").read_text())
elif target == "config_exchange":
    seed("exchange", (root / "config/exchange.toml").read_text())
