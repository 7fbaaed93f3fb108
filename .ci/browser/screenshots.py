"""Takes the pictures of the documentation: usage: screenshots.py BINARY FOLDER"""

import pathlib
import sys

import seat

def main(binary, folder):
    folder = pathlib.Path(folder)
    with seat.demo(binary, "180s") as (url, _), seat.browser() as chromium:
        desk, _ = seat.page(chromium, url, "dark", {"width": 1440, "height": 1500})
        desk.wait_for_selector("#fills tbody tr:nth-child(12)", timeout=120_000)
        desk.wait_for_timeout(20_000)
        desk.screenshot(path=folder / "dashboard.png")
        phone, _ = seat.page(chromium, url, "dark", seat.PHONE)
        phone.wait_for_selector("#ladder tr.own", timeout=30_000)
        phone.wait_for_timeout(2_000)
        phone.screenshot(path=folder / "dashboard-phone.png", full_page=True)


main(*sys.argv[1:])
