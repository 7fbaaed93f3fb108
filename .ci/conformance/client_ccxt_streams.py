"""ccxt.pro: order books and own orders over WebSockets, spot and linear futures."""

import asyncio

import ccxt.pro

from common import (KEY, SECRET, SPOT_REST, SPOT_WS, SPOT_WS_API, USDM_REST, USDM_WS, check_async,
                    expect, finish)


def point_home(urls):
    for name, url in urls.items():
        if isinstance(url, dict):
            point_home(url)
        elif isinstance(url, str):
            path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
            futures = "fapi" in url or "fstream" in url
            if "ws-api" in url and not futures:
                urls[name] = SPOT_WS_API
            elif url.startswith("ws"):
                urls[name] = (USDM_WS if futures else SPOT_WS) + path
            else:
                urls[name] = (USDM_REST if futures else SPOT_REST) + path


async def run(kind, symbol, amount):
    venue = ccxt.pro.binance({
        "apiKey": KEY,
        "secret": SECRET,
        "options": {
            "fetchMarkets": {"types": [kind]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "defaultType": "spot" if kind == "spot" else "swap",
        },
    })
    point_home(venue.urls["api"])
    name = f"ccxt.pro {kind}"
    try:
        await check_async(f"{name}: load_markets", venue.load_markets)

        async def book():
            for _ in range(20):
                told = await asyncio.wait_for(venue.watch_order_book(symbol), 10)
            expect(told["bids"][0][0] < told["asks"][0][0], "a crossed book")
            fetched = await venue.fetch_order_book(symbol, 100)
            distance = abs(fetched["bids"][0][0] / told["bids"][0][0] - 1)
            expect(distance < 0.002, f"the watched book is {distance} away")

        await check_async(f"{name}: watch_order_book keeps in step", book)

        async def fill():
            watching = asyncio.ensure_future(venue.watch_orders(symbol))
            await asyncio.sleep(1)
            order = await venue.create_order(symbol, "market", "buy", amount)
            for _ in range(10):
                for told in await asyncio.wait_for(watching, 10):
                    if told["id"] == order["id"] and told["status"] == "closed":
                        expect(told["filled"] == amount, str(told))
                        return
                watching = asyncio.ensure_future(venue.watch_orders(symbol))
            raise AssertionError("no closed order came")

        await check_async(f"{name}: watch_orders tells a real fill", fill)
        await check_async(f"{name}: watch_trades", lambda: asyncio.wait_for(
            venue.watch_trades(symbol), 20))
    finally:
        await venue.close()


async def main():
    await run("spot", "BTC/USDT", 0.001)
    await run("linear", "BTC/USDT:USDT", 0.002)


asyncio.run(main())
finish()
