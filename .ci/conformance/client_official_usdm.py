"""The official binance-sdk-derivatives-trading-usds-futures: REST and streams."""

import asyncio

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)

from common import KEY, SECRET, USDM_REST, USDM_WS, check, check_async, expect, finish

client = DerivativesTradingUsdsFutures(
    config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=USDM_REST),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=USDM_WS),
)
api = client.rest_api


def refused(step):
    try:
        step()
    except BadRequestError:
        return
    raise AssertionError("it was not refused")


def rest():
    check("usdm sdk: time", lambda: expect(api.check_server_time().data().server_time > 0, ""))
    check("usdm sdk: exchange info", lambda: expect(
        len(api.exchange_information().data().symbols[0].filters) == 7, "not seven filters"))
    book = check("usdm sdk: depth", lambda: api.order_book("BTCUSDT", limit=5).data())
    bid = round(float(book.bids[0][0]) * 0.98, 1)

    def place():
        data = api.new_order("BTCUSDT", "BUY", "LIMIT", time_in_force="GTX", quantity=0.002,
                             price=bid, new_client_order_id="sdk-1").data()
        expect(data.status == "NEW" and data.client_order_id == "sdk-1", str(data))
        return data.order_id

    order = check("usdm sdk: new order", place)
    check("usdm sdk: query order", lambda: expect(
        api.query_order("BTCUSDT", order_id=order).data().status == "NEW", "not open"))
    check("usdm sdk: query open order", lambda: api.query_current_open_order(
        "BTCUSDT", order_id=order).data())
    check("usdm sdk: open orders", lambda: expect(
        len(api.current_all_open_orders(symbol="BTCUSDT").data()) == 1, "not one"))

    def modify():
        data = api.modify_order("BTCUSDT", "BUY", quantity=0.003, price=round(bid * 0.999, 1),
                                order_id=order).data()
        expect(data.order_id == order and data.orig_qty == "0.003", str(data))

    check("usdm sdk: modify order", modify)
    check("usdm sdk: cancel order", lambda: expect(
        api.cancel_order("BTCUSDT", order_id=order).data().status == "CANCELED", "not cancelled"))
    check("usdm sdk: cancelling again is refused",
          lambda: refused(lambda: api.cancel_order("BTCUSDT", order_id=order)))
    check("usdm sdk: crossing GTX is refused", lambda: refused(lambda: api.new_order(
        "BTCUSDT", "BUY", "LIMIT", time_in_force="GTX", quantity=0.002,
        price=round(float(book.asks[0][0]) * 1.01, 1))))
    check("usdm sdk: dead-man switch", lambda: expect(
        api.auto_cancel_all_open_orders("BTCUSDT", 0).data().countdown_time == "0", ""))
    check("usdm sdk: cancel all", lambda: api.cancel_all_open_orders("BTCUSDT").data())
    check("usdm sdk: account v3", lambda: expect(
        float(api.account_information_v3().data().total_wallet_balance) > 0, "no money"))
    check("usdm sdk: account v2", lambda: api.account_information_v2().data())
    check("usdm sdk: balance", lambda: api.futures_account_balance_v3().data())
    check("usdm sdk: account config", lambda: api.futures_account_configuration().data())
    check("usdm sdk: symbol config", lambda: api.symbol_configuration(symbol="BTCUSDT").data())
    check("usdm sdk: position risk", lambda: api.position_information_v3().data())
    check("usdm sdk: position mode", lambda: expect(
        api.get_current_position_mode().data().dual_side_position is False, "hedge mode"))
    check("usdm sdk: multi assets", lambda: api.get_current_multi_assets_mode().data())
    check("usdm sdk: leverage", lambda: expect(
        api.change_initial_leverage("BTCUSDT", 7).data().leverage == 7, "not seven"))
    check("usdm sdk: brackets", lambda: api.notional_and_leverage_brackets(
        symbol="BTCUSDT").data())
    check("usdm sdk: commission", lambda: api.user_commission_rate("BTCUSDT").data())
    check("usdm sdk: premium index", lambda: api.mark_price(symbol="BTCUSDT").data())
    check("usdm sdk: funding", lambda: api.get_funding_rate_history(symbol="BTCUSDT").data())
    check("usdm sdk: trades", lambda: api.account_trade_list("BTCUSDT").data())
    check("usdm sdk: income", lambda: api.get_income_history().data())
    check("usdm sdk: order limits", lambda: api.query_user_rate_limit().data())
    check("usdm sdk: book ticker", lambda: api.symbol_order_book_ticker(symbol="BTCUSDT").data())
    check("usdm sdk: price", lambda: api.symbol_price_ticker_v2(symbol="BTCUSDT").data())
    check("usdm sdk: ticker 24h", lambda: api.ticker24hr_price_change_statistics(
        symbol="BTCUSDT").data())


async def streams():
    key = api.start_user_data_stream().data().listen_key
    check("usdm sdk: keep listen key", lambda: api.keepalive_user_data_stream().data())
    ws = client.websocket_streams
    await ws.create_connection()

    async def first(handle):
        told = asyncio.get_running_loop().create_future()
        handle.on("message", lambda data: told.done() or told.set_result(data))
        return await asyncio.wait_for(told, 15)

    async def depth():
        data = await first(await ws.diff_book_depth_streams("btcusdt", update_speed="100ms"))
        expect(data.pu < data.u, str(data))

    await check_async("usdm sdk: depth stream", depth)

    async def quote():
        data = await first(await ws.individual_symbol_book_ticker_streams("btcusdt"))
        expect(float(data.b) < float(data.a), str(data))

    await check_async("usdm sdk: bookTicker stream", quote)

    async def mark():
        data = await first(await ws.mark_price_stream("btcusdt", update_speed="1s"))
        expect(float(data.p) > 0, str(data))

    await check_async("usdm sdk: markPrice stream", mark)

    async def aggregate():
        data = await first(await ws.aggregate_trade_streams("btcusdt"))
        expect(float(data.p) > 0, str(data))

    await check_async("usdm sdk: aggTrade stream", aggregate)

    async def fill():
        told = []
        (await ws.user_data(key)).on("message", told.append)
        await asyncio.sleep(0.3)
        placed = api.new_order("BTCUSDT", "BUY", "MARKET", quantity=0.002,
                               new_order_resp_type="RESULT").data()
        expect(placed.status == "FILLED", str(placed))
        for _ in range(50):
            await asyncio.sleep(0.1)
            kinds = [type(getattr(e, "actual_instance", e)).__name__ for e in told]
            if {"OrderTradeUpdate", "AccountUpdate", "TradeLite"} <= set(kinds):
                return
        raise AssertionError(f"only {kinds} {told}")

    await check_async("usdm sdk: user data stream tells a real fill", fill)
    await ws.close_connection(close_session=True)
    check("usdm sdk: drop listen key", lambda: api.close_user_data_stream().data())


rest()
asyncio.run(streams())
finish()
