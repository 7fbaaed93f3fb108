//! Why the quotes are what they are, as tables for people.

use serde_json::Value;

use super::status::{decimal, head, list, number, text};
use super::table::columns;

/// Every instrument, or the one named `SYMBOL` or `venue:SYMBOL`.
pub(super) fn of_instrument(mut all: Value, name: Option<&str>) -> Result<Value, String> {
    let Some(name) = name else { return Ok(all) };
    let Some(instruments) = all.get_mut("instruments").and_then(Value::as_array_mut) else {
        return Ok(all);
    };
    let full = |own: &Value| format!("{}:{}", text(own, "venue"), text(own, "symbol"));
    let known: Vec<String> = instruments.iter().map(full).collect();
    instruments.retain(|own| text(own, "symbol") == name || full(own) == name);
    if instruments.is_empty() {
        return Err(format!("{name:?} is not quoted; quoted are {}", known.join(", ")));
    }
    Ok(all)
}

/// The steps in their order, and in what they end.
pub(super) fn tables(all: &Value) -> String {
    let mut out = String::new();
    for own in list(all, "instruments") {
        out.push_str(&format!("{}:{}\n", text(own, "venue"), text(own, "symbol")));
        let mut rows = vec![head("of step before value unit")];
        rows.extend(list(own, "steps").map(step));
        if rows.len() == 1 {
            out.push_str("  no price was made\n");
        } else {
            columns(&rows, 2, &mut out);
        }
        for side in ["bid", "ask"] {
            let levels = |key: &str| -> String {
                let level = |l: &Value| format!("{} at {}", text(l, "quantity"), text(l, "price"));
                let all: Vec<String> = list(&own[side], key).map(level).collect();
                if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
            };
            let (wanted, working) = (levels("wanted"), levels("working"));
            let reason = text(&own[side], "reason");
            out.push_str(&format!("  {side}: {reason}; wanted {wanted}; working {working}\n"));
        }
    }
    if out.is_empty() { "nothing is quoted\n".to_owned() } else { out }
}

fn step(step: &Value) -> Vec<String> {
    let part = text(step, "part").replace('_', " ");
    let of = match step["side"].as_str() {
        Some(side) => {
            let side = if side == "buy" { "bid" } else { "ask" };
            format!("{side} {} {part}", text(step, "level"))
        }
        None => part,
    };
    let show = |key: &str| {
        let rounded = number(&step[key], 8);
        decimal(&Value::String(rounded))
    };
    vec![of, text(step, "what"), show("before"), show("value"), text(step, "unit")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_rows_and_an_unknown_name_is_told_what_there_is() {
        let all = json!({"instruments": [{
            "venue": "spot", "symbol": "BTCUSDT",
            "bid": {"reason": "quoting", "wanted": [{"price": "59999.10", "quantity": "0.0020"}],
                    "working": []},
            "ask": {"reason": "inventory_limit", "wanted": [], "working": []},
            "steps": [
                {"part": "half_spread", "what": "model", "before": 0.0, "value": 1.25,
                 "unit": "bps", "whole": null},
                {"part": "price", "side": "buy", "level": 1, "what": "onto a tick",
                 "before": 59999.15, "value": 59999.1, "unit": "quote/base", "whole": 599991},
            ],
        }]});
        let text = tables(&all);
        for words in [
            "spot:BTCUSDT",
            "half spread",
            "1.25",
            "bid 1 price",
            "bid: quoting; wanted 0.002 at 59999.1; working nothing",
            "ask: inventory_limit; wanted nothing",
        ] {
            assert!(text.contains(words), "no {words:?} in\n{text}");
        }
        for name in ["BTCUSDT", "spot:BTCUSDT"] {
            assert_eq!(of_instrument(all.clone(), Some(name)), Ok(all.clone()));
        }
        let error = of_instrument(all.clone(), Some("ETHUSDT")).unwrap_err();
        assert!(error.contains("spot:BTCUSDT"), "{error}");
        for odd in [json!({}), json!([]), json!(null), json!("x")] {
            tables(&odd);
            of_instrument(odd, Some("x")).unwrap_or_default();
        }
    }
}
