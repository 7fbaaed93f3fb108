//! The private session: user stream, listen key, dead-man switch, and the fate of our requests.

use super::decode::{self, Execution, Listing, Unreadable, json, money};
use super::encode::Call;
use super::errors::{self, Refusal};
use super::sign::Query;
use super::{Ask, Product, Session, Timer, backoff, wire};
use crate::domain::{
    AccountSnapshot, Asset, Balance, Event, LinkKind, Money, OrderId, OrderUpdate, RejectClass,
    Span, Ts, planted,
};
use crate::venues::{Frame, Outbox};
use secrecy::ExposeSecret;

/// A listen key lives an hour; it is renewed well before (the venue advises 30 to 50 minutes).
const KEEP_ALIVE: Span = Span::from_s(30 * 60);
/// How long the venue may take to answer the subscription.
const SUBSCRIBE_TIMEOUT: Span = Span::from_s(10);
/// The venue tells every change of an order on the user stream, usually within milliseconds. A
/// stream that says nothing for this long after an order was answered delivers no more, however
/// faithfully it answers pings.
const ECHO_TIMEOUT: Span = Span::from_s(3);

/// How long after a renewal the new connection may repeat what the old one told: it has waited
/// unread for a second, and is read at once.
const REPEATS: Span = Span::from_s(10);
/// Kinds of event that must not be counted twice.
const KINDS: [&str; 4] =
    ["executionReport", "ORDER_TRADE_UPDATE", "outboundAccountPosition", "ACCOUNT_UPDATE"];
/// Events of one kind and instant that are kept to be compared.
const MAX_TOLD: usize = 256;

/// The events of one kind that were told last.
#[derive(Default)]
struct LastTold {
    /// The venue's time of them, milliseconds.
    at: i64,
    /// All of that time.
    told: Vec<String>,
}

/// State of the user stream.
#[derive(Default)]
pub(super) struct User {
    /// USD-M: names the stream.
    pub(super) listen_key: Option<String>,
    /// The stream delivers: subscribed (spot), open (USD-M).
    pub(super) subscribed: bool,
    pub(super) failures: u32,
    /// When it last told anything of the account.
    told_at: Ts,
    last: [LastTold; KINDS.len()],
    /// Until then a new connection may repeat what the one before it told.
    repeats_until: Ts,
    requests: u64,
}

/// What was asked of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderAsk {
    Place,
    Amend,
    Cancel,
    Query,
}

impl Session {
    /// The clock is known, so signed requests may leave.
    pub(super) fn on_clock_known(&mut self, now: Ts, out: &mut Outbox) {
        for slot in 0..self.markets.len() {
            self.ask_fees(slot, now, out);
            self.arm(slot, now, out);
        }
        if self.params.product == Product::UsdM {
            self.ask_mode(now, out);
        }
        self.ask_permissions(now, out);
        for action in std::mem::take(&mut self.deferred) {
            self.encode_action(now, &action, out);
        }
        self.open_account(now, out);
    }

    /// The account can be read once the clock is known, to sign, and every symbol is, to decode:
    /// an order event of a symbol whose scales are not known yet would be lost.
    pub(super) fn account_readable(&self) -> bool {
        self.clock.offset().is_some() && self.markets.iter().all(|market| market.resolved)
    }

    /// Open the user stream and read the account if that was asked for, as soon as both can be.
    pub(super) fn open_account(&mut self, now: Ts, out: &mut Outbox) {
        if !self.account_readable() {
            return;
        }
        if !self.link(LinkKind::User).wanted {
            self.open_user(now, out);
        }
        if self.reconcile_again {
            self.reconcile(now, out);
        }
    }

    /// Ask whether the account is in one-way mode.
    pub(super) fn ask_mode(&mut self, now: Ts, out: &mut Outbox) {
        match self.blocked(now) {
            Some(until) => {
                self.timers.insert(Timer::Mode, until);
            }
            None => {
                self.send(Call::Mode, Ask::Mode, Query::new(), now, out);
            }
        }
    }

    pub(super) fn on_mode_reply(&mut self, now: Ts, body: Result<&str, String>, out: &mut Outbox) {
        match body.and_then(json::<wire::PositionMode>) {
            Ok(wire::PositionMode { dual_side_position: true }) => self.fail_hedge_mode(out),
            Ok(_) => self.mode_failures = 0,
            Err(why) => {
                self.mode_failures += 1;
                self.garbled(format!("position mode: {why}"), out);
                self.timers.insert(Timer::Mode, now + backoff(self.mode_failures));
            }
        }
    }

    pub(super) fn fail_hedge_mode(&mut self, out: &mut Outbox) {
        let text = format!(
            "the account at {} is in hedge mode; this program needs one-way mode: switch Position \
             Mode to One-way in the futures preferences (POST /fapi/v1/positionSide/dual \
             dualSidePosition=false) with no position and no open order",
            self.params.name
        );
        self.fail(RejectClass::Auth, text, out);
    }

    // ---- user stream

    /// Open the user stream: at once on spot, by a listen key on USD-M.
    pub(super) fn open_user(&mut self, now: Ts, out: &mut Outbox) {
        match self.params.product {
            Product::Spot => self.connect(LinkKind::User, Span::ZERO, now, out),
            Product::UsdM => self.ask_listen_key(now, out),
        }
    }

    /// A listen key; an active one is returned again and renewed.
    pub(super) fn ask_listen_key(&mut self, now: Ts, out: &mut Outbox) {
        self.link_mut(LinkKind::User).wanted = true;
        match self.blocked(now) {
            Some(until) => {
                self.timers.insert(Timer::ListenKey, until);
            }
            None => {
                self.timers.remove(&Timer::ListenKey);
                self.send(Call::ListenKey, Ask::ListenKey, Query::new(), now, out);
            }
        }
    }

    pub(super) fn on_listen_key_reply(
        &mut self,
        now: Ts,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        match body.and_then(json::<wire::ListenKey>) {
            Ok(wire) => {
                self.user.failures = 0;
                self.user.listen_key = Some(wire.listen_key);
                self.timers.insert(Timer::KeepAlive, now + KEEP_ALIVE);
                self.connect(LinkKind::User, Span::ZERO, now, out);
            }
            Err(why) => {
                self.user.failures += 1;
                self.garbled(format!("listen key: {why}"), out);
                self.timers.insert(Timer::ListenKey, now + backoff(self.user.failures));
            }
        }
    }

    /// Renew the listen key.
    pub(super) fn keep_alive(&mut self, now: Ts, out: &mut Outbox) {
        match self.blocked(now) {
            Some(until) => {
                self.timers.insert(Timer::KeepAlive, until);
            }
            None => {
                self.send(Call::KeepAlive, Ask::KeepAlive, Query::new(), now, out);
            }
        }
    }

    pub(super) fn on_keep_alive_reply(
        &mut self,
        now: Ts,
        body: Result<&str, (i64, String)>,
        out: &mut Outbox,
    ) {
        match body {
            Ok(_) => {
                self.user.failures = 0;
                self.timers.insert(Timer::KeepAlive, now + KEEP_ALIVE);
            }
            // "This listenKey does not exist."
            Err((-1125, _)) => self.renew_listen_key(now, "the listen key has expired", out),
            Err((_, why)) => {
                self.user.failures += 1;
                self.garbled(format!("listen key keep-alive: {why}"), out);
                self.timers.insert(Timer::KeepAlive, now + backoff(self.user.failures));
            }
        }
    }

    fn renew_listen_key(&mut self, now: Ts, why: &str, out: &mut Outbox) {
        self.close(LinkKind::User, now, why, out);
        self.user.listen_key = None;
        self.timers.remove(&Timer::KeepAlive);
        self.ask_listen_key(now, out);
    }

    /// URL of the user stream; `None` while there is no listen key.
    pub(super) fn user_url(&self) -> Option<String> {
        let base = self.params.user_url.trim_end_matches('/');
        match self.params.product {
            Product::Spot => Some(base.to_owned()),
            Product::UsdM => {
                let key = self.user.listen_key.as_ref()?;
                Some(format!("{base}/private/ws?listenKey={}", Query::encoded(key)))
            }
        }
    }

    /// The user link is open: subscribe (spot), or it delivers already (USD-M).
    pub(super) fn on_user_open(&mut self, now: Ts, out: &mut Outbox) {
        if self.params.product == Product::UsdM {
            self.user.subscribed = true;
            return self.settle_user(out);
        }
        let text = self.subscription(now);
        out.frames.push(Frame::Text { link: LinkKind::User, text });
        self.timers.insert(Timer::Subscribe, now + SUBSCRIBE_TIMEOUT);
    }

    /// A new connection has taken the place of the old one. It has been open beside it for a while
    /// and is read only now: the answer to its subscription comes first, then what the old one may
    /// have told as well.
    pub(super) fn on_user_renewed(&mut self, now: Ts) {
        self.user.repeats_until = now + REPEATS;
        if self.params.product == Product::Spot {
            self.timers.insert(Timer::Subscribe, now + SUBSCRIBE_TIMEOUT);
        }
    }

    /// The signed wish to hear of our account (spot).
    pub(super) fn subscription(&mut self, now: Ts) -> String {
        let key = self.params.credentials.key.expose_secret().to_owned();
        let timestamp = self.venue_ms(now).to_string();
        let window = self.params.recv_window_ms.to_string();
        let parameters = [("apiKey", &*key), ("recvWindow", &window), ("timestamp", &timestamp)];
        let signature = self.signer.sign_ws(&parameters);
        self.user.requests += 1;
        let text = serde_json::json!({
            "id": format!("user-{}", self.user.requests),
            "method": "userDataStream.subscribe.signature",
            "params": {
                "apiKey": key,
                "recvWindow": self.params.recv_window_ms,
                "timestamp": self.venue_ms(now),
                "signature": signature,
            },
        });
        text.to_string()
    }

    /// Tell the core when the user link becomes usable or stops being so.
    pub(super) fn settle_user(&mut self, out: &mut Outbox) {
        let armed = self.params.dead_man_switch.is_none()
            || self.markets.iter().all(|market| market.is_out() || market.armed_until.is_some());
        let link = self.link(LinkKind::User);
        let usable = link.open && self.user.subscribed && armed && self.key_checked;
        if usable != link.up {
            let why = if usable || armed { "" } else { "the dead-man switch is not armed" };
            self.set_up(LinkKind::User, usable, why, out);
        }
    }

    /// A frame on the user link.
    pub(super) fn on_user_text(&mut self, now: Ts, text: &str, out: &mut Outbox) {
        let frame = match json::<wire::Frame<'_>>(text) {
            Ok(frame) => frame,
            Err(why) => {
                let what = errors::excerpt(text);
                return self.garbled(format!("user stream: {why}: {what}"), out);
            }
        };
        if let Some(event) = frame.event.or(frame.data) {
            self.on_user_event(now, event.get(), out);
        } else if frame.e.is_some() {
            self.on_user_event(now, text, out);
        } else if let Some(status) = frame.status {
            self.on_ws_response(now, status, frame.error, out);
        } else {
            self.ignored += 1;
        }
    }

    /// The answer to the subscription, or the news that the key has been revoked.
    fn on_ws_response(
        &mut self,
        now: Ts,
        status: u16,
        error: Option<wire::ApiError>,
        out: &mut Outbox,
    ) {
        let error = error.unwrap_or_default();
        let code = error.code.unwrap_or(0);
        // -2035: this connection is subscribed already.
        if status == 200 || code == -2035 {
            self.timers.remove(&Timer::Subscribe);
            self.user.subscribed = true;
            return self.settle_user(out);
        }
        let class = errors::classify(self.params.product, code, &error.msg);
        let text = format!("user stream refused: {status} {code} {}", errors::excerpt(&error.msg));
        match class {
            RejectClass::Auth => self.fail(class, text.clone(), out),
            RejectClass::Clock => self.measure_clock(now, out),
            _ => self.garbled(text.clone(), out),
        }
        self.timers.remove(&Timer::Subscribe);
        self.reconnect(LinkKind::User, now, &text, out);
    }

    /// An order request sent at `sent_at` was carried out: the user stream owes us news of it.
    pub(super) fn expect_echo(&mut self, sent_at: Ts, now: Ts) {
        let told = self.user.told_at >= sent_at;
        if !told
            && !planted("no_echo_watch")
            && self.link(LinkKind::User).up
            && self.timers.get(&Timer::Echo).is_none()
        {
            self.timers.insert(Timer::Echo, now + ECHO_TIMEOUT);
        }
    }

    fn on_user_event(&mut self, now: Ts, event: &str, out: &mut Outbox) {
        self.user.told_at = now;
        self.timers.remove(&Timer::Echo);
        let read = json::<wire::Head<'_>>(event).and_then(|head| {
            if self.is_repeat(&head, event, now) {
                self.ignored += 1;
                return Ok(());
            }
            match head.e.as_deref().unwrap_or("") {
                "executionReport" => {
                    let report: wire::ExecutionReport<'_> = json(event)?;
                    let prefix = self.params.prefix.clone();
                    self.on_execution(&Execution::spot(&report, |id| prefix.decode(id)), out)
                }
                "ORDER_TRADE_UPDATE" => {
                    let update: wire::OrderTradeUpdate<'_> = json(event)?;
                    let prefix = self.params.prefix.clone();
                    self.on_execution(&Execution::usdm(&update.o, |id| prefix.decode(id)), out)
                }
                "outboundAccountPosition" => self.on_spot_balances(&json(event)?, out),
                "ACCOUNT_UPDATE" => self.on_account_update(&json(event)?, out),
                "listenKeyExpired" if self.params.product == Product::UsdM => {
                    self.renew_listen_key(now, "the listen key has expired", out);
                    Ok(())
                }
                "eventStreamTerminated" => {
                    self.reconnect(LinkKind::User, now, "the venue ended the user stream", out);
                    Ok(())
                }
                "serverShutdown" => {
                    self.renew(LinkKind::User, now, "the venue announced a shutdown", out);
                    Ok(())
                }
                // TRADE_LITE comes before ORDER_TRADE_UPDATE but names no fee: counting a fill
                // without its fee to gain milliseconds would leave the ledger wrong.
                _ => {
                    self.ignored += 1;
                    Ok(())
                }
            }
        });
        if let Err(why) = read {
            self.garbled(format!("user stream: {why}: {}", errors::excerpt(event)), out);
        }
    }

    /// Whether the connection before this one has told an event already. Events of one kind come in
    /// the order of their times, so only those of the last instant need be compared.
    fn is_repeat(&mut self, head: &wire::Head<'_>, event: &str, now: Ts) -> bool {
        let kind = KINDS.iter().position(|kind| head.e.as_deref() == Some(kind));
        let (Some(kind), Some(at)) = (kind, head.event_time) else { return false };
        let repeating = now < self.user.repeats_until;
        let last = &mut self.user.last[kind];
        if at < last.at || at == last.at && last.told.iter().any(|told| told == event) {
            return repeating;
        }
        if at > last.at {
            last.at = at;
            last.told.clear();
        }
        if last.told.len() < MAX_TOLD {
            last.told.push(event.to_owned());
        }
        false
    }

    fn on_execution(
        &mut self,
        execution: &Execution<'_>,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let Some((slot, listing)) = self.listed(execution.symbol) else {
            self.ignored += 1;
            return Ok(());
        };
        let fill = match (execution.is_trade(), execution.trade_id) {
            (true, 1..) => Some(listing.execution_fill(execution)?),
            _ => None,
        };
        let state = match execution.order {
            Some(id) => Some((id, listing.execution_state(execution)?)),
            None => None,
        };
        out.events.extend(fill.map(Event::Fill));
        if let Some((id, update)) = state {
            let at = Ts::from_ms(execution.time_ms);
            self.order_news(slot, id, Some(execution.venue_order_id), update, at, out);
        }
        Ok(())
    }

    fn on_spot_balances(
        &mut self,
        wire: &wire::OutboundAccountPosition<'_>,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let read = |row: &wire::PositionBalance<'_>| decode::spot_balance(&row.a, row.f, row.l);
        let balances = wire.balances.iter().map(read).collect::<Result<_, _>>()?;
        out.events.push(self.push(balances, Vec::new(), Ts::from_ms(wire.event_time)));
        Ok(())
    }

    fn push(
        &self,
        balances: Vec<Balance>,
        positions: Vec<crate::domain::PositionReport>,
        as_of: Ts,
    ) -> Event {
        Event::Account(AccountSnapshot {
            venue: self.params.venue,
            balances,
            positions,
            open_orders: None,
            complete: false,
            as_of,
        })
    }

    fn on_account_update(
        &mut self,
        wire: &wire::AccountUpdate<'_>,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let at = Ts::from_ms(wire.time);
        let change = &wire.a;
        let read = |row: &wire::WalletChange<'_>| -> Result<Balance, Unreadable> {
            let (asset, free) = (Asset::new(&row.a), money(row.wb)?);
            Ok(Balance { asset, free, locked: Money::ZERO })
        };
        let balances = change.balances.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut positions = Vec::new();
        for row in &change.positions {
            let Some((_, listing)) = self.listed(&row.s) else { continue };
            let position = listing.position(row.pa, row.ep)?;
            if row.ps == "BOTH" {
                positions.push(position);
            } else if !position.qty.is_zero() {
                self.fail_hedge_mode(out);
            }
        }
        if change.reason == "FUNDING_FEE" {
            self.funding(change, at, out)?;
        }
        out.events.push(self.push(balances, positions, at));
        Ok(())
    }

    /// Funding in the quote asset of our instruments; the venue may name the symbol.
    fn funding(
        &self,
        change: &wire::AccountChange<'_>,
        at: Ts,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let named =
            change.symbol.as_deref().or_else(|| change.positions.first().map(|row| &*row.s));
        let listing = named.and_then(|symbol| self.listed(symbol)).map(|(_, listing)| listing);
        if named.is_some() && listing.is_none() {
            return Ok(()); // on a position that is not ours to trade; the balance tells
        }
        let quotes = |listing: &Listing, asset: &str| listing.instrument.quote.as_str() == asset;
        for row in &change.balances {
            let ours = match listing {
                Some(listing) => quotes(listing, &row.a),
                None => self.listings().any(|listing| quotes(listing, &row.a)),
            };
            if let (true, Some(amount)) = (ours, row.bc) {
                let (venue, amount) = (self.params.venue, money(amount)?);
                let instrument = listing.map(Listing::id);
                out.events.push(Event::Funding { instrument, venue, amount, at });
            }
        }
        Ok(())
    }

    // ---- dead-man switch

    /// Tell the venue to cancel everything on a symbol unless told again in time.
    pub(super) fn arm(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        let Some(countdown) = self.params.dead_man_switch else { return };
        if self.params.product == Product::Spot || self.markets[slot].is_out() {
            return; // the venue has no such switch, or no such symbol
        }
        if let Some(until) = self.blocked(now) {
            self.timers.insert(Timer::DeadMan(slot), until);
            return;
        }
        // Whatever becomes of this request, the next one leaves in time.
        self.timers.insert(Timer::DeadMan(slot), now + Span((countdown.0 / 4).max(1_000_000)));
        let ask = Ask::DeadMan { slot, until: now + countdown };
        self.send(Call::DeadMan, ask, self.countdown(slot, countdown), now, out);
        if self.markets[slot].armed_until.is_some_and(|until| until <= now) {
            self.markets[slot].armed_until = None;
            self.settle_user(out);
        }
    }

    fn countdown(&self, slot: usize, countdown: Span) -> Query {
        let query = Query::new().with("symbol", &self.markets[slot].symbol);
        query.with("countdownTime", countdown.ms())
    }

    pub(super) fn on_dead_man_reply(
        &mut self,
        slot: usize,
        until: Ts,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        match body {
            Ok(_) => {
                let market = &mut self.markets[slot];
                market.armed_until = market.armed_until.max(Some(until));
                self.settle_user(out);
            }
            Err(why) => self.garbled(format!("dead-man switch: {why}"), out),
        }
    }

    /// Leave nothing behind that acts without us.
    pub(super) fn farewell(&mut self, now: Ts, out: &mut Outbox) {
        self.timers.clear();
        self.finished = true;
        if self.params.product == Product::Spot || self.clock.offset().is_none() {
            return;
        }
        // Where the venue asks for silence the switch runs out and finds nothing to cancel.
        if self.blocked(now).is_some() {
            return;
        }
        if self.params.dead_man_switch.is_some() {
            for slot in 0..self.markets.len() {
                let query = self.countdown(slot, Span::ZERO);
                self.send(Call::DeadMan, Ask::Farewell, query, now, out);
            }
        }
        if self.user.listen_key.take().is_some() {
            self.send(Call::Farewell, Ask::Farewell, Query::new(), now, out);
        }
    }

    // ---- replies about orders

    /// The reply to a request about one order of ours.
    pub(super) fn on_order_reply(
        &mut self,
        ask: OrderAsk,
        slot: usize,
        id: OrderId,
        now: Ts,
        fate: errors::Fate<'_>,
        out: &mut Outbox,
    ) {
        let update = match fate {
            errors::Fate::Done(body) => match self.read_order(ask, slot, id, now, body, out) {
                Ok(()) => return,
                Err(why) => OrderUpdate::Unknown {
                    text: format!("unreadable reply: {why}: {}", errors::excerpt(body)),
                },
            },
            errors::Fate::Unknown(text) => OrderUpdate::Unknown { text },
            errors::Fate::Refused(refusal) => refused(ask, refusal),
        };
        self.order_news(slot, id, None, update, now, out);
    }

    fn read_order(
        &mut self,
        ask: OrderAsk,
        slot: usize,
        id: OrderId,
        now: Ts,
        body: &str,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let amended;
        let plain;
        let (order, at) = if ask == OrderAsk::Amend && self.params.product == Product::Spot {
            amended = json::<wire::AmendReply<'_>>(body)?;
            (&amended.amended_order, Some(amended.transact_time))
        } else {
            plain = json::<wire::OrderReply<'_>>(body)?;
            (&plain, plain.transact_time.or(plain.update_time))
        };
        // A spot cancel names the order in `origClientOrderId` and itself in `clientOrderId`.
        let named = match (ask, &order.orig_client_order_id) {
            (OrderAsk::Cancel, Some(original)) => original,
            _ => &order.client_order_id,
        };
        if self.params.prefix.decode(named) != Some(id) {
            return Err(format!("it is about order {named:?}"));
        }
        let listing = self.markets[slot].listing.as_ref().ok_or("not listed")?;
        let at = at.map_or(now, Ts::from_ms);
        let update = listing.order_state(order)?;
        let fills = listing.reply_fills(order, id, at)?;
        let venue_order_id = order.order_id;
        out.events.extend(fills.into_iter().map(Event::Fill));
        self.order_news(slot, id, Some(venue_order_id), update, at, out);
        Ok(())
    }
}

/// What a certain refusal of a request means for the order.
fn refused(ask: OrderAsk, refusal: Refusal) -> OrderUpdate {
    let Refusal { class, code, text, .. } = refusal;
    match ask {
        OrderAsk::Place => OrderUpdate::Rejected { class, text },
        OrderAsk::Amend | OrderAsk::Cancel => {
            OrderUpdate::ChangeRejected { class, gone: errors::is_gone(code), text }
        }
        OrderAsk::Query if code == -2013 => OrderUpdate::NotFound,
        OrderAsk::Query => OrderUpdate::Unknown { text },
    }
}
