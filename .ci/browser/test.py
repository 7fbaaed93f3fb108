"""The dashboard in a real Chromium against the demo: usage: test.py BINARY [FOLDER OF PICTURES]

Nothing is waited for by a fixed time: every step waits for what it is about, with an end.
"""

import json
import pathlib
import sys
import time
import urllib.request

import seat

PATIENCE = 30_000
PANELS = ["instruments", "ladder", "parts", "exposure", "capital", "orders", "venues", "fills", "presence"]


def expect(what, holds):
    if not holds:
        sys.exit(f"FAIL  {what}")
    print(f"ok    {what}")


def until(what, page, holds):
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        if time.monotonic() > deadline:
            expect(what, False)
        page.wait_for_timeout(100)
    expect(what, True)


def loads_and_updates(page):
    until("it says that it is live", page, lambda: "live" in page.inner_text("#link"))
    until("it shows the state", page, lambda: "QUOTING" in page.inner_text("#state"))
    for panel in PANELS:
        page.wait_for_selector(f"#{panel}", timeout=PATIENCE)
        until(f"#{panel} says something", page, lambda: len(page.inner_text(f"#{panel}")) > 10)
    before = page.inner_text("#ladder")
    until("the book moves", page, lambda: page.inner_text("#ladder") != before)
    page.wait_for_selector("#ladder tr.own", timeout=PATIENCE)
    expect("our orders stand in the book", "◆" in page.inner_text("#ladder"))
    until("a fill is listed and marked", page,
          lambda: page.locator("#fills tbody tr").count() > 0
          and int(page.get_attribute("#chart", "data-fills") or 0) > 0)


def a_fresh_page_is_not_empty(chromium, url):
    page, _ = seat.page(chromium, url)
    until("a second dashboard shows what was before it", page,
          lambda: int(page.get_attribute("#chart", "data-fills") or 0) > 0)
    page.context.close()


def explains(page):
    page.click("#explain")
    page.wait_for_selector("#chain tbody tr:nth-child(10)", timeout=PATIENCE)
    expect("the chain goes from inputs on", "best bid of others" in page.inner_text("#chain"))
    page.keyboard.press("Escape")


def is_reachable_by_keyboard(page):
    page.keyboard.press("Tab")
    seen = set()
    for _ in range(20):
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    expect("controls, instruments and explanations are reached by Tab",
           {"open-controls", "pick", "explain"} <= seen)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('section, button, input, canvas')].filter(e => !(e.ariaLabel"
        " || e.innerText || e.labels?.length || document.getElementById(e.getAttribute('aria-labelledby')))"
        ").map(e => e.id)"
    )
    expect(f"everything has a name {unnamed}", not unnamed)


def fits(chromium, url):
    for scheme, size in (("dark", seat.PHONE), ("light", seat.PHONE), ("dark", seat.DESK)):
        page, wrong = seat.page(chromium, url, scheme, size)
        page.wait_for_selector("#ladder .mid", timeout=PATIENCE)
        width = page.evaluate("document.documentElement.scrollWidth")
        expect(f"{scheme}, {size['width']} wide: nothing beyond the edge ({width})", width <= size["width"])
        light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0] > 128")
        expect(f"{scheme}: the ground is {scheme}", light == (scheme == "light"))
        expect(f"nothing is wrong: {wrong}", not wrong)
        page.context.close()


def bears_fifty_instruments(chromium, url):
    status = json.load(urllib.request.urlopen(url + "status"))
    one = status["instruments"][0]
    status["instruments"] = [{**one, "symbol": f"SYM{k}USDT"} for k in range(50)]
    beats = []
    for k in range(40):
        status["at_ns"] += 250_000_000
        status["instruments"][k]["bid"] = {**one["bid"], "best": {"price": str(100 + k), "quantity": "1"}}
        beats.append(f'event: beat\ndata: {{"age_ms":1}}\n\nevent: status\ndata: {json.dumps(status)}\n\n')
    answer = lambda page: page.route(
        "**/stream*", lambda r: r.fulfill(body="".join(beats), content_type="text/event-stream")
    )
    page, wrong = seat.page(chromium, url, answer=answer)
    page.wait_for_selector("#instruments tbody tr:nth-child(50)", timeout=PATIENCE)
    slowest = page.evaluate(
        "new Promise(done => { let last = performance.now(), worst = 0, left = 120; const turn = now => {"
        " worst = Math.max(worst, now - last); last = now; --left ? requestAnimationFrame(turn) : done(worst) };"
        " requestAnimationFrame(turn) })"
    )
    print(f"      50 instruments: the longest frame of 120 took {slowest:.0f} ms")
    expect("50 instruments leave the page responsive", slowest < 1000)
    page.fill("#find", "SYM49")
    until("one is found among them", page, lambda: page.locator("#instruments tbody tr:visible").count() == 1)
    expect(f"nothing is wrong: {wrong}", not wrong)
    page.context.close()


def acts(page, wrong, token):
    page.click("#open-controls")
    page.click("[data-do=pause]")
    until("without a token nothing is asked", page, lambda: "token" in page.inner_text("#said"))
    page.fill("#token", "wrong")
    page.click("[data-do=pause]")
    until("a wrong token is refused in words", page, lambda: "401" in page.inner_text("#said"))
    wrong[:] = [w for w in wrong if "401" not in w]
    page.fill("#token", token)
    page.click("[data-do=pause]")
    until("the operator pauses", page, lambda: "paused" in page.inner_text("#why"))
    page.click("[data-do=resume]")
    until("and resumes", page, lambda: "paused" not in page.inner_text("#why"))
    expect("kill needs its word", page.is_disabled("#kill"))
    page.fill("#kill-word", "kill")
    expect("and no other", page.is_disabled("#kill"))
    page.fill("#kill-word", "KILL")
    page.check("#flatten")
    page.click("#kill")
    until("the daemon is halted", page, lambda: "HALTED" in page.inner_text("#state"))
    until("and no order is left", page, lambda: "no open orders" in page.inner_text("#orders"))
    page.click("#close-controls")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    expect("the token is kept nowhere", token not in kept)


def reloads(chromium, binary):
    with seat.daemon(binary) as (url, token, config):
        page, wrong = seat.page(chromium, url)
        until("the daemon quotes", page, lambda: "QUOTING" in page.inner_text("#state"))
        rewrite = lambda old, new: config.write_text(config.read_text().replace(old, new))
        page.click("#open-controls")
        page.fill("#token", token)
        page.click("#reload")
        until("an unchanged file changes nothing", page, lambda: "nothing has changed" in page.inner_text("#said"))
        rewrite("\nsize_skew = 0.5", "\nsize_skew = 0.6")
        rewrite('order_id_prefix = "ek"', 'order_id_prefix = "ok"')
        page.click("#reload")
        until("a reload says how much holds now", page,
              lambda: "1 setting holds now, 1 from the next start on" in page.inner_text("#said"))
        rows = page.locator("#answer tbody tr").all_inner_texts()
        expect(f"each key says what it was, is, and when that holds: {rows}",
               [row.split() for row in rows] == [
                   "quoting.size_skew 0.5 0.6 ● holds now".split(),
                   "environment.order_id_prefix ek ok ▲ from the next start on".split()])
        if shots := pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None:
            page.screenshot(path=shots / "reload.png")
        rewrite("size_skew = 0.6", "size_skw = 0.6")
        page.click("#reload")
        until("a mistake is told, and that nothing was changed", page,
              lambda: "nothing was changed" in page.inner_text("#said") and "did you mean" in page.inner_text("#said"))
        expect("and no old answer stands below it", page.inner_text("#answer") == "")
        if shots:
            page.screenshot(path=shots / "refused.png")
        rewrite("size_skw = 0.6", "size_skew = 0.6")
        rewrite("max_open_orders = 10", "max_open_orders = 40")
        page.click("#reload")
        until("a big raise is refused", page, lambda: "10 -> 40" in page.inner_text("#said"))
        page.check("#confirm")
        page.click("#reload")
        until("until it is confirmed", page, lambda: "confirmed" in page.inner_text("#answer"))
        expect("each confirmation counts once", not page.is_checked("#confirm"))
        wrong[:] = [w for w in wrong if "422" not in w]
        expect(f"nothing is wrong: {wrong}", not wrong)
        page.context.close()


def main(binary, _shots=None):
    with seat.browser() as chromium:
        with seat.demo(binary, "300s") as (url, token):
            page, wrong = seat.page(chromium, url)
            loads_and_updates(page)
            a_fresh_page_is_not_empty(chromium, url)
            explains(page)
            is_reachable_by_keyboard(page)
            fits(chromium, url)
            bears_fifty_instruments(chromium, url)
            acts(page, wrong, token)
            expect(f"no error, no warning, nothing asked elsewhere: {wrong}", not wrong)
        reloads(chromium, binary)
        until("it says when the daemon is gone", page, lambda: "trying again" in page.inner_text("#link"))


main(*sys.argv[1:])
