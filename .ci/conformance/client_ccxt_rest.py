"""ccxt, REST: spot and linear futures."""

import ccxt

from common import KEY, SECRET, SPOT_REST, USDM_REST, check, expect, finish


def point_home(urls):
    """Every address of the library, turned to the local exchange."""
    for name, url in urls.items():
        if isinstance(url, dict):
            point_home(url)
        elif isinstance(url, str):
            path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
            home = USDM_REST if "fapi" in url else SPOT_REST
            urls[name] = home + path


def exchange(kind):
    made = ccxt.binance({
        "apiKey": KEY,
        "secret": SECRET,
        "options": {
            "fetchMarkets": {"types": [kind]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "defaultType": "spot" if kind == "spot" else "swap",
        },
    })
    point_home(made.urls["api"])
    return made


def run(kind, symbol, amount):
    venue = exchange(kind)
    name = f"ccxt {kind}"
    check(f"{name}: load_markets", venue.load_markets)
    market = check(f"{name}: market", lambda: venue.market(symbol))
    expect(market is not None, "no market, nothing else can work")
    book = check(f"{name}: fetch_order_book", lambda: venue.fetch_order_book(symbol, 100))
    expect(book["bids"] and book["asks"], "an empty book")
    bid = float(venue.price_to_precision(symbol, book["bids"][0][0] * 0.98))

    def place(**params):
        return venue.create_order(symbol, "limit", "buy", amount, bid, params)

    order = check(f"{name}: create limit", place)

    def fetched():
        found = venue.fetch_order(order["id"], symbol)
        expect(found["status"] == "open", found["status"])
        expect(found["price"] == bid and found["amount"] == amount, str(found))

    check(f"{name}: fetch_order", fetched)
    check(f"{name}: open orders", lambda: expect(
        [o["id"] for o in venue.fetch_open_orders(symbol)] == [order["id"]], "not exactly ours"))

    def edited():
        changed = venue.edit_order(order["id"], symbol, "limit", "buy", amount,
                                   float(venue.price_to_precision(symbol, bid * 0.999)))
        return changed["id"]

    order_id = check(f"{name}: edit_order", edited) or order["id"]
    check(f"{name}: cancel_order", lambda: venue.cancel_order(order_id, symbol))
    check(f"{name}: none left", lambda: expect(not venue.fetch_open_orders(symbol), "some left"))

    def unknown():
        try:
            venue.cancel_order(order_id, symbol)
        except ccxt.OrderNotFound:
            return
        raise AssertionError("a second cancel was taken")

    check(f"{name}: second cancel is OrderNotFound", unknown)

    def post_only():
        try:
            venue.create_order(symbol, "limit", "buy", amount, book["asks"][0][0] * 1.01,
                               {"postOnly": True})
        except ccxt.InvalidOrder:
            return
        raise AssertionError("a crossing post-only order was taken")

    if kind == "spot":
        check(f"{name}: crossing post-only is refused", post_only)

    def poor():
        try:
            venue.create_order(symbol, "limit", "buy", 500, bid)
        except ccxt.ExchangeError as error:
            # ccxt picks the futures table of errors by host, so on this one it stays general.
            expect(isinstance(error, ccxt.InsufficientFunds) or "-2019" in str(error), str(error))
            return
        raise AssertionError("an order beyond the balance was taken")

    check(f"{name}: beyond balance is InsufficientFunds", poor)
    check(f"{name}: balance", lambda: expect(
        venue.fetch_balance()["USDT"]["total"] > 0, "no USDT"))

    def market_order():
        done = venue.create_order(symbol, "market", "buy", amount)
        done = venue.fetch_order(done["id"], symbol)
        expect(done["status"] == "closed" and done["filled"] == amount, str(done))

    check(f"{name}: market order fills", market_order)
    check(f"{name}: my trades", lambda: expect(
        venue.fetch_my_trades(symbol)[-1]["amount"] > 0, "no trades"))
    check(f"{name}: ticker", lambda: expect(venue.fetch_ticker(symbol)["last"] > 0, "no price"))
    check(f"{name}: trades", lambda: venue.fetch_trades(symbol, limit=10))
    check(f"{name}: klines", lambda: venue.fetch_ohlcv(symbol, "1m"))
    if kind == "linear":
        check(f"{name}: positions", lambda: expect(
            venue.fetch_positions([symbol])[0]["contracts"] > 0, "no position"))
        check(f"{name}: leverage", lambda: venue.set_leverage(5, symbol))
        check(f"{name}: funding rate", lambda: venue.fetch_funding_rate(symbol))
        check(f"{name}: batch", lambda: expect(len(venue.create_orders([
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": amount, "price": bid},
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": amount, "price": bid},
        ])) == 2, "not two orders"))
        check(f"{name}: batch cancel", lambda: expect(len(venue.cancel_orders(
            [order["id"] for order in venue.fetch_open_orders(symbol)][:2], symbol)) == 2,
            "not two cancels"))
        check(f"{name}: cancel all", lambda: venue.cancel_all_orders(symbol))
        check(f"{name}: none left", lambda: expect(
            not venue.fetch_open_orders(symbol), "some left"))


run("spot", "BTC/USDT", 0.001)
run("linear", "BTC/USDT:USDT", 0.002)
finish()
