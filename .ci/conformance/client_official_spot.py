"""The official binance-sdk-spot: REST, WebSocket API, market streams, user data stream."""

import asyncio

from binance_common.configuration import (ConfigurationRestAPI, ConfigurationWebSocketAPI,
                                          ConfigurationWebSocketStreams)
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot

from common import (KEY, SECRET, SPOT_REST, SPOT_WS, SPOT_WS_API, check, check_async, expect,
                    finish)

client = Spot(
    config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=SPOT_REST),
    config_ws_api=ConfigurationWebSocketAPI(
        api_key=KEY, api_secret=SECRET, stream_url=SPOT_WS_API),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=SPOT_WS),
)


def refused(step, code):
    try:
        step()
    except BadRequestError as error:
        text = str(error) + str(getattr(error, "status_code", ""))
        body = str(getattr(error, "error_code", "")) + text
        expect(str(code) in body or code is None, f"another refusal: {body}")
        return
    raise AssertionError("it was not refused")


def rest():
    api = client.rest_api
    check("spot sdk: time", lambda: expect(api.time().data().server_time > 0, "no time"))

    def info():
        data = api.exchange_info(symbol="BTCUSDT").data()
        expect(data.symbols[0].symbol == "BTCUSDT", "not the symbol")
        expect(len(data.symbols[0].filters) >= 6, "few filters")

    check("spot sdk: exchange info", info)
    book = check("spot sdk: depth", lambda: api.depth("BTCUSDT", limit=5).data())
    bid = round(float(book.bids[0][0]) * 0.98, 2)

    def place():
        data = api.new_order("BTCUSDT", "BUY", "LIMIT_MAKER", quantity=0.001, price=bid,
                             new_client_order_id="sdk-1", new_order_resp_type="RESULT").data()
        expect(data.status == "NEW", str(data))
        return data.order_id

    order = check("spot sdk: new order", place)
    check("spot sdk: duplicate id is refused", lambda: refused(lambda: api.new_order(
        "BTCUSDT", "BUY", "LIMIT_MAKER", quantity=0.001, price=bid,
        new_client_order_id="sdk-1"), None))
    check("spot sdk: get order", lambda: expect(
        api.get_order("BTCUSDT", order_id=order).data().status == "NEW", "not open"))
    check("spot sdk: open orders", lambda: expect(
        len(api.get_open_orders("BTCUSDT").data()) == 1, "not one"))

    def amend():
        data = api.order_amend_keep_priority("BTCUSDT", 0.0005, order_id=order).data()
        expect(data.amended_order.qty == "0.00050000", str(data))

    check("spot sdk: amend", amend)

    def replace():
        data = api.order_cancel_replace(
            "BTCUSDT", "BUY", "LIMIT", "STOP_ON_FAILURE", time_in_force="GTC", quantity=0.001,
            price=round(bid * 0.99, 2), cancel_order_id=order).data()
        expect(data.cancel_result == "SUCCESS" and data.new_order_result == "SUCCESS", str(data))

    check("spot sdk: cancel-replace", replace)
    check("spot sdk: cancel all", lambda: expect(
        len(api.delete_open_orders("BTCUSDT").data()) == 1, "not one"))
    check("spot sdk: cancelling again is refused",
          lambda: refused(lambda: api.delete_order("BTCUSDT", order_id=order), None))
    check("spot sdk: account", lambda: expect(
        any(b.asset == "USDT" for b in api.get_account().data().balances), "no USDT"))
    check("spot sdk: commission", lambda: api.account_commission("BTCUSDT").data())
    check("spot sdk: order counts", lambda: expect(
        len(api.rate_limit_order().data()) == 2, "not two limits"))
    check("spot sdk: my trades", lambda: api.my_trades("BTCUSDT").data())
    check("spot sdk: all orders", lambda: expect(
        len(api.all_orders("BTCUSDT").data()) >= 2, "too few"))
    for name in ("get_trades", "agg_trades", "avg_price"):
        check(f"spot sdk: {name}", lambda name=name: getattr(api, name)("BTCUSDT").data())
    check("spot sdk: ticker 24h", lambda: api.ticker24hr(symbol="BTCUSDT").data())
    check("spot sdk: book ticker", lambda: api.ticker_book_ticker(symbol="BTCUSDT").data())
    check("spot sdk: order test", lambda: api.order_test(
        "BTCUSDT", "BUY", "LIMIT", time_in_force="GTC", quantity=0.001, price=bid).data())


async def streams():
    ws = client.websocket_streams
    await ws.create_connection()

    async def first(handle):
        told = asyncio.get_running_loop().create_future()
        handle.on("message", lambda data: told.done() or told.set_result(data))
        return await asyncio.wait_for(told, 15)

    async def depth():
        data = await first(await ws.diff_book_depth("btcusdt", update_speed="100ms"))
        expect(data.u >= data.U, str(data))

    await check_async("spot sdk: depth stream", depth)

    async def quote():
        data = await first(await ws.book_ticker("btcusdt"))
        expect(float(data.b) < float(data.a), str(data))

    await check_async("spot sdk: bookTicker stream", quote)

    async def partial():
        data = await first(await ws.partial_book_depth("btcusdt", levels="5"))
        expect(len(data.bids) == 5, str(data))

    await check_async("spot sdk: partial depth stream", partial)

    async def trade():
        data = await first(await ws.trade("btcusdt"))
        expect(float(data.p) > 0, str(data))

    await check_async("spot sdk: trade stream", trade)
    await ws.close_connection(close_session=True)


async def socket_api():
    ws = client.websocket_api
    await ws.create_connection()
    await check_async("spot sdk: ws ping", lambda: ws.ping())
    await check_async("spot sdk: ws depth", lambda: ws.depth("BTCUSDT", limit=5))
    await check_async("spot sdk: ws account", lambda: ws.account_status())

    async def fill():
        told = []
        subscribed = await ws.user_data_stream_subscribe_signature()
        subscribed.stream.on("message", told.append)
        reply = await ws.order_place("BTCUSDT", "BUY", "MARKET", quantity=0.001,
                                     new_client_order_id="sdk-ws-1")
        expect(reply.data().result.status == "FILLED", str(reply.data()))
        for _ in range(50):
            await asyncio.sleep(0.1)
            kinds = [getattr(e, "actual_instance", e) for e in told]
            reports = [e for e in kinds if getattr(e, "X", None) == "FILLED"]
            positions = [e for e in kinds if type(e).__name__ == "OutboundAccountPosition"]
            if reports and positions:
                expect(reports[0].c == "sdk-ws-1", str(reports[0]))
                return
        raise AssertionError(f"only {[type(e).__name__ for e in kinds]}")

    await check_async("spot sdk: user data stream tells a real fill", fill)

    async def place_and_cancel():
        book = (await ws.depth("BTCUSDT", limit=5)).data().result
        placed = await ws.order_place("BTCUSDT", "BUY", "LIMIT", time_in_force="GTC",
                                      price=round(float(book.bids[0][0]) * 0.98, 2),
                                      quantity=0.001)
        order = placed.data().result.order_id
        status = await ws.order_status("BTCUSDT", order_id=order)
        expect(status.data().result.status == "NEW", str(status.data()))
        canceled = await ws.order_cancel("BTCUSDT", order_id=order)
        expect(canceled.data().result.status == "CANCELED", str(canceled.data()))

    await check_async("spot sdk: ws place, status, cancel", place_and_cancel)
    await ws.close_connection(close_session=True)


rest()
asyncio.run(streams())
asyncio.run(socket_api())
finish()
