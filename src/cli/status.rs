//! Status, orders, positions and ledger as tables for people, from the JSON that machines get.

use serde_json::Value;

use super::table::{columns, plain};

/// The daemon on one screen.
pub(super) fn status(all: &Value) -> String {
    let mut out = headline(all);
    out.push('\n');
    columns(&instruments(all), 0, &mut out);
    out.push('\n');
    columns(&signals(all), 0, &mut out);
    out.push('\n');
    columns(&exposure(all), 0, &mut out);
    out.push('\n');
    columns(&estimates(all), 0, &mut out);
    out.push_str(&capital(all));
    out.push('\n');
    out.push_str(&session(all));
    out.push('\n');
    columns(&venues(all), 0, &mut out);
    out
}

/// Orders that are not closed.
pub(super) fn orders(all: &Value) -> String {
    let mut rows = vec![head("venue symbol side price quantity filled state purpose age_ms id")];
    rows.extend(list(all, "orders").map(|order| {
        [
            "venue", "symbol", "side", "price", "quantity", "filled", "state", "purpose", "age_ms",
            "id",
        ]
        .map(|key| text(order, key))
        .to_vec()
    }));
    if rows.len() == 1 {
        return "no orders\n".to_owned();
    }
    let mut out = String::new();
    columns(&rows, 0, &mut out);
    out
}

/// What is held, against its target, and what that makes together.
pub(super) fn positions(all: &Value) -> String {
    let mut rows =
        vec![head("venue symbol held target off_target limit mean_off most_off mark result")];
    rows.extend(list(all, "instruments").map(|own| {
        vec![
            text(own, "venue"),
            text(own, "symbol"),
            text(own, "held_base"),
            text(own, "target_base"),
            off_target(all, own),
            text(own, "inventory_limit_base"),
            number(&own["average_inventory_base"], 6),
            text(own, "max_inventory_base"),
            text(own, "mark_price"),
            number(&own["profit_quote"], 4),
        ]
    }));
    let mut out = String::new();
    columns(&rows, 0, &mut out);
    out.push('\n');
    columns(&exposure(all), 0, &mut out);
    out
}

/// The sums of the session, all of them.
pub(super) fn ledger(all: &Value) -> String {
    let mut out = session(all) + &hedging(all) + "\n";
    columns(&parts(all), 0, &mut out);
    out.push('\n');
    columns(&presence(all), 0, &mut out);
    out.push('\n');
    columns(&markouts(all), 0, &mut out);
    out
}

/// What hedging took and cost.
fn hedging(all: &Value) -> String {
    let (own, counts) = (&all["session"]["hedging"], &all["session"]["counts"]);
    format!(
        "hedges    {} ended by hedge orders, {} by quotes alone; fees {}, slippage {}, longest {} ms\n",
        plain(&own["hedges"]),
        plain(&own["internalised"]),
        number(&own["fees_quote"], 4),
        number(&own["slippage_quote"], 4),
        plain(&counts["longest_hedge_ms"]),
    )
}

/// What is held beyond the target, signed; before the accounts have been read nobody knows.
fn off_target(all: &Value, own: &Value) -> String {
    if all["state"] == "STARTING" || all["state"] == "RECONCILING" {
        return "-".to_owned();
    }
    let amount = |key: &str| own[key].as_str()?.parse::<crate::domain::Money>().ok();
    let off = amount("held_base").zip(amount("target_base")).map(|(held, target)| held - target);
    off.map_or_else(|| "-".to_owned(), |off| off.normalize().to_string())
}

/// A time in the two units that matter.
fn duration(ms: &Value) -> String {
    let seconds = ms.as_u64().unwrap_or_default() / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Where each instrument's result came from.
fn parts(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head("instrument result spread inventory hedge funding fees")];
    rows.extend(list(all, "instruments").map(|own| {
        let parts = &own["parts"];
        vec![
            name(own),
            number(&own["profit_quote"], 4),
            number(&parts["spread_capture"], 4),
            number(&parts["inventory"], 4),
            number(&parts["hedge"], 4),
            number(&parts["funding"], 4),
            negated(&parts["fees"]),
        ]
    }));
    rows
}

/// How much of the time a market was made, as programmes count it.
fn presence(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(
        "presence two_sided bid ask absent spread_bps snapshots good bybit injective dydx",
    )];
    rows.extend(list(all, "instruments").filter(|own| own["presence"].is_object()).map(|own| {
        let presence = &own["presence"];
        let scores = &presence["scores"];
        vec![
            name(own),
            percent(&presence["two_sided"]),
            percent(&presence["bid"]),
            percent(&presence["ask"]),
            percent(&presence["absent"]),
            number(&presence["spread_bps"], 2),
            text(presence, "snapshots"),
            percent(&presence["snapshots_two_sided"]),
            number(&scores["bybit_2021"], 2),
            number(&scores["injective"], 0),
            number(&scores["dydx_points"], 0),
        ]
    }));
    rows
}

/// What maker fills were worth some time later: effective = impact + realised half-spread.
fn markouts(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(
        "markout side after_ms fills effective_bps realised_bps error_bps adverse_quote",
    )];
    for own in list(all, "instruments").filter(|own| own["quoted"] == true) {
        for (markout, money) in list(own, "markouts").zip(list(own, "realised_spread")) {
            for side in ["bid", "ask"] {
                let mean = &markout[side];
                let after = markout["horizon"].as_i64().map_or(0, |ns| ns / 1_000_000);
                let both = if side == "bid" { number(&money["adverse"], 4) } else { String::new() };
                // Without a fill there is no mean.
                let bps = |key: &str| match mean["fills"].as_u64() {
                    Some(0) => "-".to_owned(),
                    _ => number(&mean[key], 3),
                };
                rows.push(vec![
                    name(own),
                    side.to_owned(),
                    after.to_string(),
                    text(mean, "fills"),
                    bps("effective_bps"),
                    bps("bps"),
                    bps("standard_error_bps"),
                    both,
                ]);
            }
        }
    }
    rows
}

fn name(own: &Value) -> String {
    format!("{}:{}", text(own, "venue"), text(own, "symbol"))
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// State, and whatever an operator must know first.
fn headline(all: &Value) -> String {
    let mut line = plain(&all["state"]);
    if let Some(why) = all["halt_reason"].as_str() {
        line.push_str(&format!(" ({}: {why})", plain(&all["halt_cause"])));
    }
    if all["paused"] == true {
        line.push_str(", paused by the operator");
    }
    if let Some(share) = all["size_share"].as_f64().filter(|share| *share < 1.0) {
        line.push_str(&format!(", ramping up: {:.0} % of the sizes", share * 100.0));
    }
    let up = duration(&all["driver"]["uptime_ms"]);
    let clean: String = line.chars().filter(|c| !c.is_control()).collect();
    format!(
        "{clean}   {}   up {up}   evenkeel {}\n",
        text(all, "at"),
        plain(&all["driver"]["version"])
    )
}

/// One row an instrument: what is held, what is shown, and why.
fn instruments(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(
        "venue symbol held target bid our_bid best_bid best_ask our_ask ask half_bps skew_bps two_sided",
    )];
    rows.extend(list(all, "instruments").map(|own| {
        let quoted = own["quoted"] == true;
        let reason = |side: &str| {
            if quoted { plain(&own[side]["reason"]) } else { "hedge only".to_owned() }
        };
        let best = |side: &str| decimal(&own[side]["best"]["price"]);
        vec![
            text(own, "venue"),
            text(own, "symbol"),
            text(own, "held_base"),
            text(own, "target_base"),
            reason("bid"),
            own_best(all, own, "buy"),
            best("bid"),
            best("ask"),
            own_best(all, own, "sell"),
            reason("ask"),
            number(&own["quote"]["half_spread_bps"], 2),
            number(&own["quote"]["skew_bps"], 2),
            percent(&own["presence"]["two_sided"]),
        ]
    }));
    rows
}

/// What is read out of each market, where it is to be trusted.
fn signals(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(
        "signals imbalance order_flow alpha_bps vpin_pct touch_bid_bps touch_ask_bps \
         adverse_bid_bps adverse_ask_bps",
    )];
    let trusted = |reading: &Value, digits| match reading["trusted"] == true {
        true => number(&reading["value"], digits),
        false => "-".to_owned(),
    };
    rows.extend(list(all, "instruments").map(|own| {
        let signals = &own["signals"];
        vec![
            format!("{} {}", text(own, "venue"), text(own, "symbol")),
            trusted(&signals["imbalance"], 2),
            trusted(&signals["order_flow"], 2),
            number(&signals["alpha_used_bps"], 2),
            trusted(&signals["toxicity_percentile"], 2),
            trusted(&signals["touch_adverse_bps"][0], 2),
            trusted(&signals["touch_adverse_bps"][1], 2),
            trusted(&own["adverse_move_bps"][0], 2),
            trusted(&own["adverse_move_bps"][1], 2),
        ]
    }));
    rows
}

/// The best price that we show on a side.
fn own_best(all: &Value, own: &Value, side: &str) -> String {
    let ours = list(all, "orders").filter(|order| {
        order["venue"] == own["venue"]
            && order["symbol"] == own["symbol"]
            && order["side"] == side
            && order["purpose"] == "quote"
            && order["state"] != "unknown"
    });
    let price = |order: &&Value| text(order, "price").parse::<crate::domain::Money>().ok();
    let best = if side == "buy" { ours.max_by_key(price) } else { ours.min_by_key(price) };
    best.map_or_else(|| "-".to_owned(), |order| text(order, "price"))
}

fn exposure(all: &Value) -> Vec<Vec<String>> {
    let mut rows =
        vec![head("exposure net net_quote open_buys open_sells hedged_from beyond_ms half_life_s")];
    rows.extend(list(all, "exposure").map(|group| {
        vec![
            text(group, "base"),
            text(group, "net_base"),
            number(&group["net_quote"], 2),
            text(group, "open_buys_base"),
            text(group, "open_sells_base"),
            text(&group["hedge"], "edge_base"),
            text(group, "beyond_trigger_ms"),
            number(&group["half_life_s"], 0),
        ]
    }));
    rows
}

/// One row a quoted instrument: around which price it is quoted, and what is known of the market.
fn estimates(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(
        "fair around wanted alpha_bps own fused basis_bps weight lead_ratio σ_fast σ_slow A k R² fitted",
    )];
    rows.extend(list(all, "instruments").filter(|own| own["quoted"] == true).map(|own| {
        let fair = &own["fair"];
        vec![
            format!("{}:{}", text(own, "venue"), text(own, "symbol")),
            plain(&fair["source"]),
            plain(&fair["wanted"]),
            number(&fair["alpha_bps"], 2),
            number(&fair["own"], 4),
            number(&fair["fused"], 4),
            number(&fair["basis_bps"], 2),
            number(&fair["weight"], 2),
            number(&fair["lead_ratio"], 2),
            number(&own["volatility_fast_bps_sqrt_s"], 2),
            number(&own["volatility_slow_bps_sqrt_s"], 2),
            number(&own["intensity_a_per_s"], 3),
            number(&own["intensity_k_per_bps"], 3),
            number(&own["intensity_r_squared"], 2),
            plain(&own["intensity_trusted"]),
        ]
    }));
    rows
}

/// Capital at risk, what it is made of, and what would hurt.
fn capital(all: &Value) -> String {
    let own = &all["capital"];
    let stress = &own["stress"];
    let show = |value: &Value| number(value, 2);
    format!(
        "capital   at risk {} of {} ({}, pressure {}); VaR {}, ES {}, from history {}; exit {}\n\
         stress    {}σ up {} / down {}; correlation 1 VaR {}; thin books exit {}; funding {}\n",
        show(&own["at_risk_quote"]),
        show(&own["limit_quote"]),
        plain(&own["stage"]),
        show(&own["pressure"]),
        show(&own["var_quote"]),
        show(&own["shortfall_quote"]),
        show(&own["historical_var_quote"]),
        show(&own["exit_cost_quote"]),
        number(&stress["sigmas"], 0),
        show(&stress["up_quote"]),
        show(&stress["down_quote"]),
        show(&stress["correlation_one_var_quote"]),
        show(&stress["thin_exit_cost_quote"]),
        show(&stress["funding_cost_quote"]),
    )
}

fn session(all: &Value) -> String {
    let session = &all["session"];
    let (counts, parts) = (&session["counts"], &session["parts"]);
    format!(
        "session   {}; orders sent {}, cancels {}, amends {}, refused {}\n\
         fills     {} maker / {} taker; volume {} / {}; hedges {}\n\
         result    {} = spread {} + inventory {} + hedge {} + funding {} − fees {}\n",
        duration(&session["duration_ms"]),
        plain(&counts["orders_sent"]),
        plain(&counts["cancels_sent"]),
        plain(&counts["amends_sent"]),
        plain(&counts["refusals"]),
        plain(&session["maker_fills"]),
        plain(&session["taker_fills"]),
        number(&session["maker_volume_quote"], 0),
        number(&session["taker_volume_quote"], 0),
        plain(&counts["hedges_sent"]),
        number(&session["profit_quote"], 4),
        number(&parts["spread_capture"], 4),
        number(&parts["inventory"], 4),
        number(&parts["hedge"], 4),
        number(&parts["funding"], 4),
        negated(&parts["fees"]),
    )
}

fn venues(all: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head("venue market user key clock_ms weight orders foreign trouble")];
    let up = |value: &Value| if *value == true { "up" } else { "down" }.to_owned();
    rows.extend(list(all, "venues").map(|venue| {
        let usage = &venue["usage"];
        let of =
            |used: &str, limit: &str| format!("{}/{}", plain(&usage[used]), plain(&usage[limit]));
        vec![
            text(venue, "name"),
            up(&venue["market_up"]),
            up(&venue["user_up"]),
            text(venue, "key_check"),
            text(venue, "clock_offset_ms"),
            of("weight_used", "weight_limit"),
            of("orders_used", "orders_limit"),
            text(venue, "foreign_orders"),
            text(venue, "failed"),
        ]
    }));
    rows
}

pub(super) fn head(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

/// A field as people read it: decimals without the zeros at their end.
pub(super) fn text(value: &Value, key: &str) -> String {
    decimal(&value[key])
}

pub(super) fn decimal(value: &Value) -> String {
    let text = plain(value);
    match text.parse::<crate::domain::Money>() {
        Ok(number) if value.is_string() => number.normalize().to_string(),
        _ => text,
    }
}

/// A number, or a decimal in a string, rounded.
pub(super) fn number(value: &Value, digits: usize) -> String {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

/// Fees are kept as what they did to the result; people know them as what they cost.
fn negated(value: &Value) -> String {
    let fees = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    fees.map_or_else(|| "-".to_owned(), |fees: f64| format!("{:.4}", 0.0 - fees))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_screen_says_what_matters_first() {
        let all = json!({
            "state": "HALTED", "halt_cause": "operator", "halt_reason": "killed\u{1b}[31m",
            "paused": true, "at": "2026-01-01T00:00:00Z",
            "instruments": [{
                "venue": "spot", "symbol": "BTCUSDT", "quoted": true,
                "held_base": "1.00200000", "target_base": "1",
                "bid": {"reason": "quoting", "best": {"price": "60000.10"}},
                "ask": {"reason": "inventory_limit", "best": null},
                "quote": {"half_spread_bps": 1.239, "skew_bps": -0.5},
                "presence": {"two_sided": 0.95},
            }],
            "orders": [
                {"venue": "spot", "symbol": "BTCUSDT", "side": "buy", "price": "59999.00",
                 "purpose": "quote", "state": "working"},
                {"venue": "spot", "symbol": "BTCUSDT", "side": "buy", "price": "60000.00",
                 "purpose": "quote", "state": "working"},
            ],
        });
        let text = status(&all);
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("HALTED (operator: killed"), "{first}");
        assert!(first.contains("paused") && !first.contains('\u{1b}'), "{first}");
        let row = text.lines().find(|line| line.starts_with("spot")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let want = [
            "spot",
            "BTCUSDT",
            "1.002",
            "1",
            "quoting",
            "60000",
            "60000.1",
            "-",
            "-",
            "inventory_limit",
            "1.24",
            "-0.50",
            "95.0%",
        ];
        assert_eq!(cells, want);
        assert_eq!(orders(&json!({"orders": []})), "no orders\n");
        // A status of another shape is shown as far as it goes.
        for odd in [json!({}), json!([]), json!(null), json!("x")] {
            status(&odd);
            positions(&odd);
            ledger(&odd);
            orders(&odd);
        }
    }
}
