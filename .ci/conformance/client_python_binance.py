"""python-binance: REST on both venues, and a user stream that sees its resting order filled."""

import asyncio

from binance import AsyncClient, BinanceSocketManager, Client
from binance.exceptions import BinanceAPIException

from common import (KEY, OTHER_KEY, OTHER_SECRET, SECRET, SPOT_REST, SPOT_WS, SPOT_WS_API,
                    USDM_REST, USDM_WS, check, check_async, expect, finish)

Client.API_URL = AsyncClient.API_URL = f"{SPOT_REST}/api"
Client.FUTURES_URL = AsyncClient.FUTURES_URL = f"{USDM_REST}/fapi"
AsyncClient.WS_API_URL = SPOT_WS_API
BinanceSocketManager.STREAM_URL = f"{SPOT_WS}/"
BinanceSocketManager.FSTREAM_URL = f"{USDM_WS}/"
mine = Client(KEY, SECRET)
other = Client(OTHER_KEY, OTHER_SECRET)


def refused(code, step):
    try:
        step()
    except BinanceAPIException as error:
        expect(error.code == code, f"another refusal: {error}")
        return
    raise AssertionError("it was not refused")


def spot():
    bid = round(float(mine.get_order_book(symbol="BTCUSDT")["bids"][0][0]) * 0.98, 2)
    order = check("python-binance spot: limit order", lambda: mine.order_limit_buy(
        symbol="BTCUSDT", quantity=0.001, price=f"{bid:.2f}"))
    check("python-binance spot: get order", lambda: expect(mine.get_order(
        symbol="BTCUSDT", orderId=order["orderId"])["status"] == "NEW", "not open"))
    check("python-binance spot: the other account does not see it", lambda: expect(
        other.get_open_orders(symbol="BTCUSDT") == [], "it sees somebody's orders"))
    check("python-binance spot: cancel", lambda: mine.cancel_order(
        symbol="BTCUSDT", orderId=order["orderId"]))
    check("python-binance spot: cancel again", lambda: refused(-2011, lambda: mine.cancel_order(
        symbol="BTCUSDT", orderId=order["orderId"])))
    check("python-binance spot: balance", lambda: expect(
        float(mine.get_asset_balance(asset="BTC")["free"]) > 0, "no BTC"))
    check("python-binance spot: old trades", lambda: mine.get_historical_trades(symbol="BTCUSDT"))


def usdm():
    bid = round(float(mine.futures_order_book(symbol="BTCUSDT")["bids"][0][0]) * 0.98, 1)
    order = check("python-binance usdm: limit order", lambda: mine.futures_create_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTX", quantity=0.002, price=bid))
    check("python-binance usdm: cancel", lambda: mine.futures_cancel_order(
        symbol="BTCUSDT", orderId=order["orderId"]))
    check("python-binance usdm: leverage", lambda: expect(mine.futures_change_leverage(
        symbol="BTCUSDT", leverage=7)["leverage"] == 7, "not seven"))
    check("python-binance usdm: account", mine.futures_account)
    check("python-binance usdm: balance", mine.futures_account_balance)
    check("python-binance usdm: positions", mine.futures_position_information)


def sell_into(place, best_bid):
    """A resting buy at the best bid, and somebody else who sells all the way down to it."""
    price = best_bid()
    order = place(mine, "BUY", price, 0.003, "GTC")
    place(other, "SELL", price, 20, "IOC")
    return order["orderId"], price


def spot_place(client, side, price, quantity, tif):
    return client.create_order(symbol="BTCUSDT", side=side, type="LIMIT", timeInForce=tif,
                               quantity=quantity, price=f"{price:.2f}")


async def streams():
    client = await AsyncClient.create(KEY, SECRET)
    manager = BinanceSocketManager(client)

    async def depth():
        async with manager.depth_socket("BTCUSDT") as socket:
            told = await asyncio.wait_for(socket.recv(), 10)
            expect(told["u"] >= told["U"], str(told))

    await check_async("python-binance spot: depth stream", depth)

    async def filled():
        async with manager.user_socket() as socket:
            await asyncio.sleep(0.5)
            order, price = await asyncio.to_thread(
                sell_into, spot_place,
                lambda: float(mine.get_orderbook_ticker(symbol="BTCUSDT")["bidPrice"]))
            for _ in range(20):
                told = await asyncio.wait_for(socket.recv(), 10)
                told = told.get("event", told)
                if told["e"] == "executionReport" and told["i"] == order and told["X"] == "FILLED":
                    expect(told["m"] is True, "the resting order was not the maker")
                    expect(float(told["L"]) == price, f"filled at {told['L']}, not at {price}")
                    return
            raise AssertionError("no fill was told")

    await check_async("python-binance spot: user stream tells a maker fill", filled)
    await client.close_connection()


spot()
usdm()
asyncio.run(streams())
finish()
