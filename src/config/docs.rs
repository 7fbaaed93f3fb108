//! What does each key mean, and what does a reload do with it? One line a key; kinds, bounds and
//! defaults are the reader's, which asks for the key. A test holds the two against each other.

/// What a reload does with a changed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReload {
    /// It holds at once.
    Applies,
    /// It holds at once; raising it by more than the stated factor asks for `--confirm`.
    Limit,
    /// It holds from the next start on.
    Restart,
}

/// One key: its path (`[]` for "each of"), what a reload does with it, what it means.
pub(super) type Doc = (&'static str, OnReload, &'static str);

use OnReload::{Applies, Limit, Restart};

/// Every key of the daemon's configuration, in the order of the reference page.
pub(super) const DAEMON: &[Doc] = &[
    (
        "environment",
        Restart,
        "Whose money is at stake, where state lives, how our orders are known.",
    ),
    (
        "environment.mode",
        Restart,
        "Which hosts may be reached: an exchange's testnet, this machine, or the exchange itself with real money.",
    ),
    ("environment.confirm_production", Restart, "The phrase that production needs, word for word."),
    (
        "environment.allow_plaintext_loopback",
        Restart,
        "Allow http and ws to addresses of this machine.",
    ),
    (
        "environment.state_dir",
        Restart,
        "Directory of the lock, the latch, the journal and the epoch, relative to the working directory.",
    ),
    (
        "environment.order_id_prefix",
        Restart,
        "How our client order ids begin; orders without it are never touched.",
    ),
    ("venues", Restart, "One account on one exchange; up to 16."),
    ("venues[].name", Restart, "How logs, metrics and instruments call it: a-z, 0-9 and _."),
    ("venues[].kind", Restart, "Which protocol it speaks."),
    ("venues[].rest_url", Restart, "Base URL of REST, without a path."),
    ("venues[].market_stream_url", Restart, "Base URL of the public websocket streams."),
    (
        "venues[].user_stream_url",
        Restart,
        "Base URL of the user stream: the WS API for spot, the private streams for USD-M.",
    ),
    (
        "venues[].ca_file",
        Restart,
        "PEM file of a certificate authority to trust beside the system's.",
    ),
    (
        "venues[].recv_window_ms",
        Restart,
        "How long after its timestamp the venue may still accept a request. A session that goes on after a crash quotes nothing for so long and 2 s.",
    ),
    (
        "venues[].dead_man_switch_ms",
        Restart,
        "USD-M only: the venue cancels our orders when it has not heard from us for so long. 0 or absent is off.",
    ),
    (
        "venues[].request_timeout_ms",
        Restart,
        "After so long without a reply the fate of a request is unknown.",
    ),
    ("venues[].max_orders_per_s", Restart, "New orders and amendments a second, at most."),
    (
        "venues[].message_reserve_cancel_pct",
        Restart,
        "Share of that budget kept for cancels and hedges, per cent.",
    ),
    (
        "venues[].keys",
        Restart,
        "Where the API key comes from. Secrets never stand in this file, except toy ones.",
    ),
    (
        "venues[].keys.source",
        Restart,
        "Environment variables, files, systemd credentials, or toy keys (local mode only).",
    ),
    (
        "venues[].keys.key",
        Restart,
        "The variable, file or credential that holds the API key; with \"toy\" the key itself.",
    ),
    ("venues[].keys.secret", Restart, "The same for the secret that signs."),
    (
        "instruments",
        Restart,
        "What is traded, and how much of it at most; at least one has role \"quote\".",
    ),
    ("instruments[].venue", Restart, "The name of one of the venues."),
    ("instruments[].symbol", Restart, "The venue's symbol, such as BTCUSDT."),
    ("instruments[].role", Restart, "Quote it on both sides, or hedge with it."),
    (
        "instruments[].inventory_target_base",
        Restart,
        "The holding that counts as flat, base units; \"as_found\" takes what the account holds at the first start.",
    ),
    (
        "instruments[].inventory_limit_base",
        Limit,
        "How far inventory may be from its target with every working order filled, base units.",
    ),
    (
        "instruments[].max_order_base",
        Limit,
        "Largest single order, base units; absent: max_order_quote decides alone.",
    ),
    ("instruments[].max_order_quote", Limit, "Largest single order, quote units."),
    ("instruments[].max_open_orders", Limit, "Most orders of ours that may rest at once."),
    ("quoting", Applies, "What we would like to show: the model and the ladder."),
    (
        "quoting.model",
        Applies,
        "Where half-spread and skew come from: fixed numbers, or a model of order arrivals.",
    ),
    (
        "quoting.order_arrival_per_s",
        Applies,
        "A of the arrival models: fills a second at the fair price itself, until a fit is trusted. Above zero.",
    ),
    (
        "quoting.order_arrival_decay_per_bps",
        Applies,
        "k of the arrival models: how fast fills thin out with distance, per basis point. Above zero.",
    ),
    (
        "quoting.risk_aversion",
        Applies,
        "Gamma of the models: more of it skews and widens more. Instead of inventory_std_target_base.",
    ),
    (
        "quoting.inventory_std_target_base",
        Applies,
        "The standard deviation of inventory to aim at, base units; risk aversion follows from it.",
    ),
    (
        "quoting.running_penalty",
        Applies,
        "Phi of cartea_jaimungal: holding q first-level sizes costs phi*q^2 basis points a second.",
    ),
    (
        "quoting.horizon_s",
        Applies,
        "Seconds to an end that keeps moving ahead; absent: infinitely far.",
    ),
    (
        "quoting.half_spread_bps",
        Applies,
        "Half-spread of the fixed model; start and fallback of the others.",
    ),
    ("quoting.min_half_spread_bps", Applies, "Never quote closer to the fair price than this."),
    ("quoting.max_half_spread_bps", Applies, "Never quote further from it than this."),
    (
        "quoting.min_edge_bps",
        Applies,
        "What a fill must earn after fees and the expected adverse move, at least.",
    ),
    (
        "quoting.inventory_skew_bps_per_limit",
        Applies,
        "How far the fixed model has moved both quotes when inventory is at its limit: more brings inventory back sooner and earns less a fill.",
    ),
    ("quoting.max_skew_bps", Applies, "No model skews further than this."),
    (
        "quoting.half_spread_per_volatility",
        Applies,
        "Half-spread added for volatility: bps for each bps per square root of a second.",
    ),
    (
        "quoting.adverse_move_bps",
        Applies,
        "Expected move against each fill until fills have shown it; part of the least half-spread.",
    ),
    (
        "quoting.size_skew",
        Applies,
        "How much the side that adds inventory shrinks: 0 not at all, 1 to nothing at the limit.",
    ),
    (
        "quoting.levels",
        Applies,
        "The rungs of the ladder, best first, the same on both sides; 1 to 20.",
    ),
    (
        "quoting.levels[].offset_bps",
        Applies,
        "Distance beyond the best quote; rises from rung to rung.",
    ),
    ("quoting.levels[].size_quote", Applies, "Size of the rung, quote units; this or size_base."),
    ("quoting.levels[].size_base", Applies, "Size of the rung, base units; this or size_quote."),
    (
        "quoting.reprice_threshold_bps",
        Applies,
        "A resting quote stays while it is this close to where it should be: more keeps queue places, less follows the market.",
    ),
    (
        "quoting.reprice_min_interval_ms",
        Applies,
        "Least time between two changes of one quote; pulls never wait.",
    ),
    (
        "quoting.max_quote_age_ms",
        Applies,
        "A quote older than this is replaced whatever its price.",
    ),
    ("quoting.post_fill_pause_ms", Applies, "After a fill its side waits this long; 0 is off."),
    ("quoting.volatility_half_life_s", Restart, "Half-life of the volatility estimate."),
    (
        "quoting.assumed_latency_ms",
        Applies,
        "How late we are assumed to learn of a move; what that costs raises the least half-spread. 0 is off.",
    ),
    (
        "quoting.use_funding_carry",
        Applies,
        "Take funding for a drift of the price against whoever pays it.",
    ),
    (
        "quoting.cross_asset_skew",
        Applies,
        "Lean against what is held of other quoted assets, by covariance.",
    ),
    ("market", Applies, "When a market is fit to be quoted."),
    (
        "market.max_book_age_ms",
        Applies,
        "A book whose stream has shown no life for longer is stale: its quotes are pulled.",
    ),
    ("market.max_spread_bps", Applies, "A wider market is not quoted."),
    (
        "market.min_top_quote",
        Applies,
        "A market thinner than this at the best price is not quoted, quote units.",
    ),
    (
        "market.max_volatility_bps_sqrt_s",
        Applies,
        "A more volatile market is not quoted, bps per square root of a second.",
    ),
    (
        "market.assumed_volatility_bps_sqrt_s",
        Applies,
        "Volatility to quote on until it has been measured; absent: the first quote waits.",
    ),
    ("market.warm_up_s", Restart, "Estimators run this long before the first quote."),
    ("market.use_own_order_filter", Applies, "Leave our own orders out of the fair price."),
    ("signals", Applies, "What is read out of the market, and what is done about it."),
    ("signals.fair_price", Applies, "What counts as the fair price of a book."),
    (
        "signals.alpha",
        Restart,
        "Which signal forecasts the next move and shifts the quotes: read out of the book that \
         they stand around, own or leader's; a fused price has none.",
    ),
    ("signals.horizon_ms", Restart, "How far ahead forecasts and adverse moves look."),
    ("signals.max_alpha_bps", Applies, "No forecast shifts quotes further than this."),
    (
        "signals.toxicity_widening",
        Applies,
        "c of the widening 1 + c*(percentile - 1/2) for toxic flow; 0 is off.",
    ),
    (
        "signals.pull_when_toxic",
        Applies,
        "Show nothing on a side whose fills are expected to cost more than they earn.",
    ),
    (
        "signals.adverse_from_markouts",
        Applies,
        "Draw the expected adverse move from the assumed one towards what our fills have shown.",
    ),
    ("reference", Applies, "What a price is held against before it leaves."),
    (
        "reference.max_disagreement_bps",
        Applies,
        "A book further than this from its reference is not quoted.",
    ),
    (
        "reference.price_collar_bps",
        Limit,
        "No order leaves further than this from the reference price.",
    ),
    (
        "reference.max_move_bps",
        Limit,
        "A market that has moved further than this within the window is not quoted.",
    ),
    ("reference.move_window_ms", Restart, "That window."),
    ("reference.max_age_ms", Applies, "An older reference is none."),
    ("fair", Applies, "Around which price quotes stand."),
    ("fair.source", Applies, "\"own\" book, all books \"fused\", or a leader as venue:SYMBOL."),
    ("fair.basis_half_life_s", Applies, "Half-life of each instrument's basis."),
    ("fair.warm_up_s", Applies, "An instrument is watched this long before its basis is believed."),
    ("fair.failback_s", Applies, "A source that failed counts again after this long in order."),
    ("estimators", Restart, "How volatility and order arrivals are measured."),
    (
        "estimators.slow_volatility",
        Restart,
        "A second volatility over a window; the larger of the two counts.",
    ),
    ("estimators.slow_volatility_window_s", Restart, "That window."),
    ("estimators.order_arrival", Restart, "How A and k of the arrival models are fitted."),
    ("hedge", Applies, "How net exposure is taken off."),
    ("hedge.enabled", Applies, "Hedge at all; needs an instrument with role \"hedge\"."),
    (
        "hedge.trigger_base",
        Applies,
        "Net exposure at which hedging begins, base units from target.",
    ),
    ("hedge.target_base", Applies, "Net exposure at which it ends; below the trigger."),
    ("hedge.max_slippage_bps", Applies, "A hedge pays at most this much against the touch."),
    ("hedge.min_interval_ms", Applies, "Least time between two hedge orders."),
    (
        "hedge.deadline_ms",
        Applies,
        "Exposure beyond the trigger for longer is an alarm and stops quotes that would add to it.",
    ),
    (
        "hedge.mode",
        Applies,
        "Begin at the trigger, or at the edge of the band inside which waiting is cheaper.",
    ),
    ("hedge.execution", Applies, "Take at once, or rest at the touch first."),
    (
        "hedge.passive_ms",
        Applies,
        "How long a hedge rests before it takes; shorter than the deadline.",
    ),
    (
        "hedge.urgent_exposure_pct",
        Applies,
        "From this share of a limit on a hedge waits for nothing.",
    ),
    (
        "hedge.cross",
        Applies,
        "Hedge assets without a hedge instrument by way of the one that moves with them.",
    ),
    ("hedge.risk_horizon_ms", Applies, "Time over which removed risk and funding are reckoned."),
    ("risk", Applies, "Limits that no order passes, whatever its purpose."),
    (
        "risk.max_net_exposure_quote",
        Limit,
        "Largest net exposure over all venues with every working order filled, quote units.",
    ),
    (
        "risk.loss_limit_quote_session",
        Limit,
        "Loss of the session that halts us, quote units above zero. Latched.",
    ),
    ("risk.max_fills_per_minute_side", Limit, "More fills a minute on one side halt us. Latched."),
    ("risk.max_rejects_per_10s", Limit, "More refusals in ten seconds halt us. Latched."),
    (
        "risk.max_clock_offset_ms",
        Limit,
        "A clock further than this from the venue's stops quoting.",
    ),
    ("risk.reconcile_interval_ms", Applies, "How often our ledger is held against the venue's."),
    (
        "risk.order_unknown_bound_ms",
        Applies,
        "No request is carried out later than this: an order that the venue has not found by then is cancelled by id and given up.",
    ),
    ("risk.ramp_up_s", Applies, "Sizes grow this long once quoting has begun; 0: full at once."),
    ("risk.ramp_up_from_pct", Applies, "The share of the configured sizes with which they begin."),
    (
        "presence",
        Applies,
        "What counts as making a market, by the terms of a programme; shown, limits nothing.",
    ),
    ("presence.max_half_spread_bps", Applies, "Quotes further from the mid do not count."),
    ("presence.min_base", Applies, "Smaller quotes do not count, base units; this or min_quote."),
    ("presence.min_quote", Applies, "Smaller quotes do not count, quote units; this or min_base."),
    ("presence.snapshot_interval_ms", Applies, "Time between two looks of the programme."),
    ("capital", Applies, "How much money inventory may put at risk."),
    (
        "capital.max_capital_at_risk_quote",
        Limit,
        "Most capital at risk, quote units; absent: shown, limits nothing.",
    ),
    ("capital.confidence", Applies, "Probability that the loss is not exceeded."),
    ("capital.horizon_s", Applies, "Time before anything is done about a loss."),
    (
        "capital.liquidation_quote_per_s",
        Applies,
        "Pace at which one instrument can be left, quote units a second.",
    ),
    ("capital.stress_sigmas", Applies, "Stress: a move of so many standard deviations."),
    ("capital.stress_depth", Applies, "Stress: the share of the books that is left."),
    ("capital.stress_funding_bps", Applies, "Stress: a funding rate against us."),
    ("shutdown", Restart, "How a run ends."),
    ("shutdown.deadline_ms", Restart, "A stop takes no longer, whatever is left."),
    ("shutdown.flatten", Restart, "Bring positions back to target before ending."),
    ("http", Restart, "Status, metrics, dashboard and control."),
    ("http.listen", Restart, "Address and port; port 0 lets the system choose."),
    ("http.allow_remote", Restart, "Allow an address that others can reach; needs a token."),
    ("http.hosts", Restart, "Further names of this machine that requests may carry as Host."),
    (
        "http.token",
        Restart,
        "Where the bearer token of acting requests comes from; absent: one is made in the state directory.",
    ),
    ("http.token.source", Restart, "As for the keys of venues."),
    (
        "http.token.token",
        Restart,
        "The variable, file or credential that holds the token; with \"toy\" the token itself.",
    ),
    ("log", Applies, "How log lines look, and which are shown."),
    ("log.format", Restart, "Pretty on a terminal and JSON elsewhere, or always one of them."),
    ("log.level", Applies, "The least level that is shown."),
    (
        "log.modules",
        Applies,
        "The least level of single modules of evenkeel, such as \"live=debug\".",
    ),
    ("log.file", Restart, "Where lines go instead of standard output; it is rotated."),
    ("log.max_file_mb", Restart, "A file that has grown to this is put aside, megabytes."),
    ("log.keep", Restart, "So many files that were put aside are kept."),
    ("alerts", Restart, "Who is told by webhook when something needs an operator; absent: nobody."),
    ("alerts.form", Restart, "What the receiver understands."),
    ("alerts.chat_id", Restart, "Telegram: the chat to write to."),
    (
        "alerts.source",
        Restart,
        "Where the webhook's address comes from, as for keys; it carries a token.",
    ),
    ("alerts.url", Restart, "The variable, file or credential that holds the address."),
    ("alerts.level", Applies, "The least level that is sent."),
    ("alerts.repeat_interval_s", Restart, "The same alert comes once in this time."),
];

/// Every key of the local exchange's configuration.
pub(super) const EXCHANGE: &[Doc] = &[
    ("exchange", Restart, "The local exchange: addresses, pace, randomness."),
    ("exchange.seed", Restart, "What all its randomness comes from."),
    (
        "exchange.spot_listen",
        Restart,
        "Where the spot venue listens, on this machine; absent: it does not.",
    ),
    (
        "exchange.usdm_listen",
        Restart,
        "Where the USD-M venue listens, on this machine; absent: it does not.",
    ),
    ("exchange.speed", Restart, "Market seconds a second of the clock."),
    ("accounts", Restart, "Who may trade; toy accounts that open nothing else."),
    ("accounts[].key", Restart, "The API key."),
    ("accounts[].secret", Restart, "The secret that signs."),
    (
        "accounts[].permissions",
        Restart,
        "What the key may do, as the venue tells it; absent: what a trading key may.",
    ),
    ("accounts[].balances", Restart, "What the account holds at the start."),
    ("accounts[].balances.spot", Restart, "Spot balances by asset."),
    ("accounts[].balances.usdm", Restart, "USD-M wallet by asset."),
    ("markets", Restart, "One symbol of one venue."),
    ("markets[].venue", Restart, "On which venue."),
    ("markets[].symbol", Restart, "Its symbol."),
    ("markets[].base", Restart, "Base asset."),
    ("markets[].quote", Restart, "Quote asset."),
    ("markets[].tick_size", Restart, "Price of one tick, quote per base."),
    ("markets[].lot_size", Restart, "Quantity of one lot, base units."),
    ("markets[].min_notional", Restart, "Smallest order, quote units."),
    ("markets[].maker_fee_bps", Restart, "Maker fee; below zero is a rebate."),
    ("markets[].taker_fee_bps", Restart, "Taker fee."),
    ("markets[].source", Restart, "A seeded model, or recorded books and trades."),
    ("markets[].start_price", Restart, "Synthetic: price at the start, quote per base."),
    (
        "markets[].volatility_bps_sqrt_s",
        Restart,
        "Synthetic: volatility, bps per square root of a second.",
    ),
    ("markets[].trades_per_s", Restart, "Synthetic: trades of others a second."),
    ("markets[].paths", Restart, "Recording: the files, in the order of time."),
    ("faults", Restart, "What goes wrong on purpose, and when."),
    ("faults[].kind", Restart, "What goes wrong."),
    ("faults[].venue", Restart, "At which venue; absent: both."),
    ("faults[].add_ms", Restart, "latency_ms: how much later HTTP replies come."),
    ("faults[].symbol", Restart, "halt_symbol: which symbol takes no orders."),
    ("faults[].at_ms", Restart, "When first, from the start."),
    ("faults[].every_ms", Restart, "Again and again at this distance; absent: once."),
    (
        "faults[].for_ms",
        Restart,
        "For how long; absent: one request or event where that makes sense.",
    ),
];

/// What is known of a key: its path with indices or with `[]`.
pub(super) fn find(table: &[Doc], key: &str) -> Option<Doc> {
    let path = general(key);
    table.iter().find(|(known, ..)| *known == path).copied()
}

/// A key's path with `[]` for every index.
pub(super) fn general(key: &str) -> String {
    let mut path = String::new();
    let mut inside = false;
    for c in key.chars() {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        if !inside || c == '[' {
            path.push(c);
        }
    }
    path
}
