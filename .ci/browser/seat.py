"""A demo daemon and a real Chromium before its dashboard, for the test and the screenshots."""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextlib.contextmanager
def demo(binary, lasts="120s"):
    """The demo as a process of its own: its address, and its token."""
    process = subprocess.Popen(
        [binary, "demo", "--for", lasts], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        url, state = None, None
        for line in process.stdout:
            if found := re.match(r"\s*dashboard\s+(http\S+)", line):
                url = found[1]
            if found := re.match(r"\s*state\s+(\S+)", line):
                state = pathlib.Path(found[1])
                break
        if not url or not state:
            sys.exit("the demo said neither where it answers nor where its state is")
        yield url, (state / "control.token").read_text().strip()
    finally:
        process.terminate()
        # What it still says must not fill the pipe.
        process.communicate(timeout=30)


@contextlib.contextmanager
def daemon(binary):
    """A local exchange and a daemon with a configuration of its own: its address, token and file."""
    shipped = pathlib.Path(__file__).resolve().parents[2] / "config"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        ports = re.sub(r"127\.0\.0\.1:918[01]", "127.0.0.1:0", (shipped / "exchange.toml").read_text())
        (folder / "exchange.toml").write_text(ports)
        exchange = subprocess.Popen(
            [binary, "exchange", "--config", folder / "exchange.toml", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        stack.callback(exchange.wait, timeout=30)
        stack.callback(exchange.terminate)
        at = json.loads(exchange.stdout.readline())
        state, config = folder / "state", folder / "evenkeel.toml"
        text = (shipped / "demo.toml").read_text().replace("state/demo", str(state))
        for port, name in (("9180", "spot_rest"), ("9181", "usdm_rest")):
            text = text.replace(f"127.0.0.1:{port}", at[name].removeprefix("http://"))
        config.write_text(text)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([binary, "run", "--config", config], stdout=log, stderr=log)
        stack.callback(process.wait, timeout=30)
        stack.callback(process.terminate)
        deadline = time.monotonic() + 30
        while not (state / "address").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.05)
        url = f"http://{(state / 'address').read_text().strip()}/"
        yield url, (state / "control.token").read_text().strip(), config


@contextlib.contextmanager
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            yield chromium
        finally:
            chromium.close()


def page(chromium, url, scheme="light", size=None, answer=None):
    """A page before the dashboard, and everything wrong that it says or asks for outside."""
    context = chromium.new_context(viewport=size or DESK, color_scheme=scheme, device_scale_factor=1)
    shown = context.new_page()
    wrong = []
    shown.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    shown.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    origin = url.rstrip("/")
    outside = lambda address: not address.startswith((origin, "data:"))
    shown.on("request", lambda r: wrong.append(f"outside: {r.url}") if outside(r.url) else None)
    if answer:
        answer(shown)
    shown.goto(url)
    return shown, wrong
