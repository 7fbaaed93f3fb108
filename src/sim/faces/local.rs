//! Both venues around one matching engine: what a server, or a simulation without sockets, drives.

use std::collections::BTreeSet;

use super::error::ApiError;
use super::faults::{Fate, FaultBoard, FaultKind, FaultRule, VenueKind};
use super::json::{array, object, quoted};
use super::request::{Credential, HttpAnswer, HttpRequest, Keyring};
use super::spot::SpotFace;
use super::spot::api::{frame_kind, frame_refusal};
use super::streams::{ConnId, Outbox, Route};
use super::usdm::UsdmFace;
use super::venue::{Ctx, Outcome, Venue};
use crate::domain::{Instrument, InstrumentKind, Span, Ts};
use crate::sim::{
    AccountId, Answer, Command, Exchange, ExchangeParams, Happening, MarketId, Refusal, Wallet,
};

/// Markets, accounts, keys and faults of the local exchange.
#[derive(Debug)]
pub struct LocalParams {
    /// Markets and accounts.
    pub exchange: ExchangeParams,
    /// Keys, by account.
    pub credentials: Vec<Credential>,
    /// What goes wrong, and when.
    pub faults: Vec<FaultRule>,
    /// Whether `apiRestrictions` is served (production) or not (test networks).
    pub api_restrictions: bool,
}

/// What becomes of an HTTP request.
#[derive(Debug)]
pub struct Reply {
    /// The answer; absent when the caller never gets one.
    pub answer: Option<HttpAnswer>,
    /// How much later it comes.
    pub delay: Span,
}

/// The local exchange without its sockets.
#[derive(Debug)]
pub struct LocalExchange {
    exchange: Exchange,
    keyring: Keyring,
    spot: SpotFace,
    usdm: UsdmFace,
    faults: FaultBoard,
    happened: Vec<Happening>,
    /// Each market, and whether it took orders at the start.
    markets: Vec<(MarketId, bool)>,
    accounts: u32,
    requests: u64,
    /// New orders asked for, carried out or not.
    order_requests: u64,
    recording_over: bool,
}

/// What a key may do beside trading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRights {
    /// It works from named addresses only.
    pub ip_restricted: bool,
    /// It may withdraw.
    pub withdrawals: bool,
    /// It may transfer between the accounts of one owner.
    pub internal_transfers: bool,
    /// It may transfer between the wallets of an account.
    pub universal_transfers: bool,
}

impl KeyRights {
    fn body(self) -> String {
        let mut body = RESTRICTIONS.to_owned();
        for (name, granted) in [
            ("ipRestrict", self.ip_restricted),
            ("enableWithdrawals", self.withdrawals),
            ("enableInternalTransfer", self.internal_transfers),
            ("permitsUniversalTransfer", self.universal_transfers),
        ] {
            let told = |value: bool| format!("\"{name}\":{value}");
            body = body.replace(&told(false), &told(granted));
        }
        body
    }
}

/// What `apiRestrictions` says of a key that may trade and not withdraw.
const RESTRICTIONS: &str = concat!(
    r#"{"ipRestrict":false,"createTime":1623840271000,"enableReading":true,"#,
    r#""enableWithdrawals":false,"enableInternalTransfer":false,"enableMargin":false,"#,
    r#""enableFutures":true,"permitsUniversalTransfer":false,"enableVanillaOptions":false,"#,
    r#""enableFixApiTrade":false,"enableFixReadOnly":false,"enableSpotAndMarginTrading":true,"#,
    r#""enablePortfolioMarginTrading":false}"#
);

impl LocalExchange {
    /// Opens the markets, or says which parameters contradict each other.
    pub fn new(params: LocalParams, now: Ts) -> Result<LocalExchange, String> {
        let accounts = params.exchange.accounts.len();
        for credential in &params.credentials {
            if credential.account as usize >= accounts {
                return Err(format!(
                    "a key belongs to account {}, but there are {accounts} accounts (from 0)",
                    credential.account
                ));
            }
        }
        let mut symbols = BTreeSet::new();
        for market in &params.exchange.markets {
            let instrument = &market.instrument;
            if !symbols.insert((instrument.kind == InstrumentKind::Spot, instrument.symbol.clone()))
            {
                return Err(format!("{} is listed twice on one venue", instrument.symbol));
            }
        }
        let markets: Vec<_> = params
            .exchange
            .markets
            .iter()
            .zip(0_u16..)
            .map(|(market, id)| (MarketId(id), market.instrument.clone(), market.fees.clone()))
            .collect();
        let restrictions = params.api_restrictions.then(|| RESTRICTIONS.to_owned());
        let mut local = LocalExchange {
            keyring: Keyring::new(&params.credentials),
            spot: SpotFace::new(&markets, restrictions, now),
            usdm: UsdmFace::new(&markets, now),
            faults: FaultBoard::new(&params.faults, now),
            exchange: Exchange::new(params.exchange, now),
            happened: Vec::new(),
            markets: markets.iter().map(|(id, market, _)| (*id, market.trading)).collect(),
            accounts: u32::try_from(accounts).unwrap_or(u32::MAX),
            requests: 0,
            order_requests: 0,
            recording_over: false,
        };
        local.advance(now, &mut Outbox::default());
        Ok(local)
    }

    /// What `apiRestrictions` says of an account's keys from now on.
    pub fn permit(&mut self, account: u32, rights: &KeyRights) {
        self.spot.restrictions_of.insert(account, rights.body());
    }

    /// The matching engine behind both venues, to look at.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    fn venue(&mut self, kind: VenueKind) -> &mut Venue {
        match kind {
            VenueKind::Spot => &mut self.spot.venue,
            VenueKind::Usdm => &mut self.usdm.venue,
        }
    }

    /// Answers an HTTP request; what it caused goes out over the streams.
    pub fn http(
        &mut self,
        now: Ts,
        kind: VenueKind,
        request: &HttpRequest<'_>,
        out: &mut Outbox,
    ) -> Reply {
        self.requests += 1;
        let delay = self.faults.latency(kind);
        let signed = request.api_key.is_some();
        let order = request.method != "GET" && request.path.to_ascii_lowercase().contains("order");
        self.order_requests += u64::from(order && request.method == "POST");
        let fate = self.faults.fate(kind, signed, order);
        let plain = |status: u16, headers: Vec<(&'static str, String)>, body: &str| {
            let answer = HttpAnswer { status, headers, body: body.to_owned() };
            Reply { answer: Some(answer), delay }
        };
        match fate {
            Fate::Html => {
                return plain(502, Vec::new(), "<html><body>502 Bad Gateway</body></html>");
            }
            Fate::Throttled => {
                return plain(429, vec![("retry-after", "1".to_owned())], &throttled().body());
            }
            Fate::Normal | Fate::Silence | Fate::UnknownAfterAccept => {}
        }
        let outcome = self.carry_out(now, kind, request);
        self.tell(now, out);
        match fate {
            Fate::Silence => Reply { answer: None, delay },
            Fate::UnknownAfterAccept => plain(503, Vec::new(), &unknown_fate(kind).body()),
            _ => {
                let answer = self.venue(kind).answer(now, request.ip, outcome);
                Reply { answer: Some(answer), delay }
            }
        }
    }

    fn carry_out(&mut self, now: Ts, kind: VenueKind, request: &HttpRequest<'_>) -> Outcome {
        let LocalExchange { exchange, happened, keyring, spot, usdm, .. } = self;
        let mut ctx = Ctx { now, exchange, happened };
        match kind {
            VenueKind::Spot => spot.http(&mut ctx, keyring, request),
            VenueKind::Usdm => usdm.http(&mut ctx, keyring, request),
        }
    }

    /// Takes a WebSocket connection, or answers as to a plain request.
    pub fn ws_open(
        &mut self,
        now: Ts,
        kind: VenueKind,
        conn: ConnId,
        path: &str,
        query: &str,
        ip: u64,
    ) -> Result<(), HttpAnswer> {
        let refused = |error: ApiError| HttpAnswer {
            status: error.status,
            headers: Vec::new(),
            body: error.body(),
        };
        if kind == VenueKind::Spot && path == "/ws-api/v3" {
            self.spot.venue.limits.charge(now, ip, 2).map_err(refused)?;
            self.spot.api.open(conn, ip, query, now);
            return Ok(());
        }
        let (route, rest) = match kind {
            VenueKind::Spot => (Route::Any, path),
            VenueKind::Usdm => usdm_route(path),
        };
        let names = stream_names(rest, query);
        let Some((combined, names)) = names else {
            return Err(refused(ApiError::new(-1000, "No such path.").status(404)));
        };
        let hub = &mut self.venue(kind).hub;
        hub.open(conn, route, combined, &names);
        let events: BTreeSet<String> = query
            .split('&')
            .filter_map(|part| part.strip_prefix("events="))
            .flat_map(|list| list.split('/'))
            .map(str::to_owned)
            .collect();
        if route == Route::Private && !events.is_empty() {
            hub.only_events(conn, events);
        }
        Ok(())
    }

    /// Counts a frame without text; false when the connection must be cut.
    pub fn ws_admit(&mut self, now: Ts, conn: ConnId) -> bool {
        self.spot.api.contains(conn)
            || self.spot.venue.hub.admit(conn, now)
            || self.usdm.venue.hub.admit(conn, now)
    }

    /// Answers a text frame.
    pub fn ws_text(&mut self, now: Ts, conn: ConnId, text: &str, out: &mut Outbox) {
        if self.spot.api.contains(conn) {
            self.api_text(now, conn, text, out);
            return;
        }
        for hub in [&mut self.spot.venue.hub, &mut self.usdm.venue.hub] {
            if hub.contains(conn) {
                if hub.admit(conn, now) {
                    let reply = hub.control(conn, text);
                    out.send(conn, reply);
                } else {
                    out.closes.push(conn);
                }
                return;
            }
        }
    }

    /// Answers a frame of the WebSocket API, unless a fault takes the answer or the request.
    fn api_text(&mut self, now: Ts, conn: ConnId, text: &str, out: &mut Outbox) {
        let (signed, order) = frame_kind(text);
        let fate = self.faults.fate(VenueKind::Spot, signed, order);
        if matches!(fate, Fate::Throttled | Fate::Html) {
            // Gateways speak no HTML here: both are a refusal before anything was done.
            out.send(conn, frame_refusal(text, &throttled()));
            return;
        }
        let LocalExchange { exchange, happened, keyring, spot, .. } = self;
        let mut ctx = Ctx { now, exchange, happened };
        let reply = spot.api_frame(&mut ctx, keyring, conn, text);
        match (fate, reply) {
            (Fate::UnknownAfterAccept, Some(_)) => {
                out.send(conn, frame_refusal(text, &unknown_fate(VenueKind::Spot)));
            }
            (Fate::Silence, _) | (_, None) => {}
            (_, Some(reply)) => out.send(conn, reply),
        }
        self.tell(now, out);
    }

    /// The connection is gone.
    pub fn ws_close(&mut self, conn: ConnId) {
        self.spot.api.close(conn);
        self.spot.venue.hub.close(conn);
        self.usdm.venue.hub.close(conn);
    }

    /// Lets time pass: faults, markets, timers, streams with a beat.
    pub fn advance(&mut self, now: Ts, out: &mut Outbox) {
        for only in self.faults.advance(now) {
            out.closes.extend(self.connections(only));
        }
        self.apply_halts();
        self.exchange.advance(now, &mut self.happened);
        {
            let LocalExchange { exchange, happened, usdm, .. } = self;
            usdm.advance(&mut Ctx { now, exchange, happened }, out);
        }
        self.tell(now, out);
        let LocalExchange { exchange, happened, spot, usdm, faults, .. } = self;
        let ctx = Ctx { now, exchange, happened };
        spot.beat(&ctx, faults, out);
        usdm.beat(&ctx, faults, out);
    }

    /// When [`LocalExchange::advance`] has something to do next.
    #[must_use]
    pub fn next_wakeup(&self) -> Ts {
        let beats = self.spot.venue.markets.iter().chain(&self.usdm.venue.markets);
        let beats = beats.map(super::market::MarketFace::next_beat);
        let others = [self.exchange.next_wakeup(), self.faults.next_change()];
        beats.chain(others.into_iter().flatten()).min().unwrap_or(Ts::FAR)
    }

    fn connections(&self, only: Option<VenueKind>) -> Vec<ConnId> {
        let mut all = Vec::new();
        if only != Some(VenueKind::Usdm) {
            all.extend(self.spot.api.connections());
            all.extend(self.spot.venue.hub.connections());
        }
        if only != Some(VenueKind::Spot) {
            all.extend(self.usdm.venue.hub.connections());
        }
        all
    }

    fn apply_halts(&mut self) {
        for &(id, open) in &self.markets {
            let Some(instrument) = self.exchange.instrument(id) else { continue };
            let kind = venue_kind(instrument.kind);
            let open = open && !self.faults.halted(kind, &instrument.symbol);
            if instrument.trading != open {
                self.exchange.set_trading(id, open);
            }
        }
    }

    /// Turns what happened into stream frames.
    fn tell(&mut self, now: Ts, out: &mut Outbox) {
        if self.happened.is_empty() {
            self.usdm.tell_news(now, out);
            return;
        }
        let happened = std::mem::take(&mut self.happened);
        for happening in &happened {
            self.tell_one(now, happening, out);
        }
        let mute = |kind| (self.faults.market_muted(kind), self.faults.user_stream_muted(kind));
        let (spot_muted, _) = mute(VenueKind::Spot);
        let (usdm_muted, usdm_user_muted) = mute(VenueKind::Usdm);
        let LocalExchange { exchange, spot, usdm, .. } = self;
        // The list keeps its memory for the next time.
        let mut emptied = happened;
        emptied.clear();
        let ctx = Ctx { now, exchange, happened: &mut emptied };
        usdm.flush_account(now, usdm_user_muted, out);
        usdm.tell_news(now, out);
        spot.after_happenings(&ctx, spot_muted, out);
        usdm.after_happenings(&ctx, usdm_muted, out);
        self.happened = emptied;
    }

    fn tell_one(&mut self, now: Ts, happening: &Happening, out: &mut Outbox) {
        let LocalExchange { exchange, spot, usdm, faults, recording_over, .. } = self;
        let mut none = Vec::new();
        let ctx = Ctx { now, exchange, happened: &mut none };
        let spot_muted = faults.user_stream_muted(VenueKind::Spot);
        let usdm_muted = faults.user_stream_muted(VenueKind::Usdm);
        match happening {
            Happening::Depth { market, update_id, side, px, qty, .. } => {
                for venue in [&mut spot.venue, &mut usdm.venue] {
                    if let Some(index) = venue.index(*market) {
                        venue.markets[index].on_depth(*update_id, *side, *px, *qty);
                    }
                }
            }
            Happening::Trade(trade) => {
                spot.on_trade(trade, faults.market_muted(VenueKind::Spot), now, out);
                usdm.on_trade(trade, faults.market_muted(VenueKind::Usdm), now, out);
            }
            Happening::Order { record, execution, .. } => {
                if spot.venue.index(record.market).is_some() {
                    spot.on_order(&ctx, record, execution, spot_muted, out);
                } else {
                    usdm.on_order(&ctx, record, execution, usdm_muted, out);
                }
            }
            Happening::Balances { account, wallet: Wallet::Spot, changed, at } => {
                if !spot_muted {
                    spot.on_balances(account.0, changed, *at, now, out);
                }
            }
            Happening::Balances { account, wallet: Wallet::Usdm, changed, at } => {
                usdm.on_balances(account.0, changed, (now, *at), usdm_muted, out);
            }
            Happening::Position { account, position, at } => {
                usdm.on_position(account.0, position, (now, *at), usdm_muted, out);
            }
            Happening::Mark { mark, at } => {
                usdm.on_mark(mark, *at, faults.market_muted(VenueKind::Usdm), now, out);
            }
            Happening::Funding { account, market, amount, rate, at } => {
                let money = (*amount, *rate);
                usdm.on_funding(&ctx, account.0, *market, money, *at, usdm_muted, out);
            }
            Happening::TapeEnded { .. } => *recording_over = true,
        }
    }

    /// Whether a recording that plays here has come to its end.
    #[must_use]
    pub fn recording_is_over(&self) -> bool {
        self.recording_over
    }

    /// What recordings contained that could not be used, in words, by symbol.
    #[must_use]
    pub fn recording_faults(&self) -> Vec<String> {
        let of = |&(market, _): &(MarketId, bool)| {
            let words = self.exchange.tape_faults(market)?.words()?;
            let instrument = &self.exchange.market(market)?.instrument;
            let venue = match instrument.kind {
                InstrumentKind::Spot => "spot",
                InstrumentKind::LinearPerpetual => "USD-M",
            };
            Some(format!("{venue} {}: {words}", instrument.symbol))
        };
        self.markets.iter().filter_map(of).collect()
    }

    /// Carries out a command past both venues' protocols: what somebody else who has the account,
    /// in a browser say, does. Streams tell of it.
    ///
    /// # Errors
    /// Why the exchange refuses it.
    pub fn submit(
        &mut self,
        now: Ts,
        account: AccountId,
        command: &Command,
        out: &mut Outbox,
    ) -> Result<Answer, Refusal> {
        let answer = self.exchange.submit(now, account, command, &mut self.happened);
        self.tell(now, out);
        answer
    }

    /// Changes a market's limits, as a venue does; see [`Exchange::set_limits`].
    pub fn set_limits(&mut self, market: MarketId, limits: &Instrument) -> bool {
        self.exchange.set_limits(market, limits)
    }

    /// Adds a fault, counted from now.
    pub fn add_fault(&mut self, now: Ts, rule: FaultRule) {
        self.faults.add(rule, now);
    }

    /// Accounts, open orders, positions, faults and counters as one JSON document.
    #[must_use]
    pub fn state(&self, now: Ts) -> String {
        let accounts = (0..self.accounts).map(|number| self.account_state(AccountId(number)));
        let faults = self.faults.active();
        let faults = faults.iter().map(|kind: &FaultKind| quoted(&format!("{kind:?}")));
        let weights = object()
            .int("spot", self.spot.venue.limits.total_used(now))
            .int("usdm", self.usdm.venue.limits.total_used(now))
            .end();
        let connections = object()
            .int("spot", self.connections(Some(VenueKind::Spot)).len() as i64)
            .int("usdm", self.connections(Some(VenueKind::Usdm)).len() as i64)
            .end();
        object()
            .int("time_ns", now.0)
            .list("accounts", accounts)
            .list("faults", faults)
            .int("requests", self.requests)
            .int("order_requests", self.order_requests)
            .raw("used_weight", &weights)
            .raw("connections", &connections)
            .end()
    }

    fn account_state(&self, account: AccountId) -> String {
        let balances = |wallet| {
            self.exchange.balances(account, wallet).into_iter().map(|balance| {
                object()
                    .text("asset", balance.asset.as_str())
                    .plain("free", balance.free)
                    .plain("locked", balance.locked)
                    .end()
            })
        };
        let orders = self.markets.iter().flat_map(|(id, _)| {
            let instrument = self.exchange.instrument(*id);
            self.exchange.open_orders(account, *id).into_iter().filter_map(move |order| {
                let instrument = instrument?;
                Some(
                    object()
                        .text("venue", venue_word(instrument.kind))
                        .text("symbol", &instrument.symbol)
                        .int("order_id", order.order_id)
                        .text("client_order_id", &order.client_id)
                        .text("side", &order.side.to_string())
                        .plain("price", instrument.price(order.px().unwrap_or_default()))
                        .plain("quantity", instrument.quantity(order.qty))
                        .plain("filled", instrument.quantity(order.filled))
                        .end(),
                )
            })
        });
        let positions = self.markets.iter().filter_map(|(id, _)| {
            let instrument = self.exchange.instrument(*id)?;
            let position = self.exchange.position(account, *id)?;
            Some(
                object()
                    .text("symbol", &instrument.symbol)
                    .plain("quantity", instrument.quantity(position.qty))
                    .plain("entry_price", position.entry_price)
                    .plain("unrealized_pnl", position.unrealized_pnl)
                    .plain("realized_pnl", position.realized_pnl)
                    .end(),
            )
        });
        let trades =
            self.markets.iter().map(|(id, _)| self.exchange.trades(account, *id, 0).count());
        object()
            .int("account", account.0)
            .raw("spot_balances", &array(balances(Wallet::Spot)))
            .raw("usdm_balances", &array(balances(Wallet::Usdm)))
            .list("open_orders", orders)
            .list("positions", positions)
            .int("trades", trades.sum::<usize>() as i64)
            .end()
    }
}

fn throttled() -> ApiError {
    ApiError::new(-1003, "Too many requests.").status(429)
}

/// The answer that leaves open whether a request was carried out.
fn unknown_fate(kind: VenueKind) -> ApiError {
    let (code, msg) = match kind {
        VenueKind::Spot => (
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution \
             status unknown.",
        ),
        VenueKind::Usdm => (-1000, "Unknown error, please check your request or try again later."),
    };
    ApiError::new(code, msg).status(503)
}

fn venue_kind(kind: InstrumentKind) -> VenueKind {
    match kind {
        InstrumentKind::Spot => VenueKind::Spot,
        InstrumentKind::LinearPerpetual => VenueKind::Usdm,
    }
}

fn venue_word(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Spot => "spot",
        InstrumentKind::LinearPerpetual => "usdm",
    }
}

/// The route of a USD-M path and the path after it; paths without one get public streams only.
fn usdm_route(path: &str) -> (Route, &str) {
    let routes =
        [("/public", Route::Public), ("/market", Route::Market), ("/private", Route::Private)];
    for (prefix, route) in routes {
        if let Some(rest) = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) {
            return (route, rest);
        }
    }
    (Route::Public, path)
}

/// Whether a path is combined, and the streams it names; `None` when it is no stream path.
fn stream_names<'a>(path: &'a str, query: &'a str) -> Option<(bool, Vec<&'a str>)> {
    let in_query = |name: &str| -> Vec<&'a str> {
        let parts = query.split('&').filter_map(|part| part.split_once('='));
        let values = parts.filter(|(key, _)| *key == name).map(|(_, value)| value);
        values.flat_map(|value| value.split('/')).collect()
    };
    if path == "/stream" {
        let mut names = in_query("streams");
        names.extend(in_query("listenKey"));
        return Some((true, names));
    }
    let rest = path.strip_prefix("/ws")?;
    let mut names: Vec<&str> = match rest.strip_prefix('/') {
        Some(names) => names.split('/').collect(),
        None if rest.is_empty() => Vec::new(),
        None => return None,
    };
    names.extend(in_query("listenKey"));
    Some((false, names))
}
