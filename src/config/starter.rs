//! A first configuration from a few answers: every key with its meaning; what has a sane default
//! is there, commented out.

use super::docs;
use super::settings::Mode;
use super::spec::{FileKind, Kind, literal};
use crate::domain::Money;

/// What a starter must be told.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Local or testnet; production is nothing to start with.
    pub mode: Mode,
    /// What to quote.
    pub symbol: String,
    /// How far inventory may go, base units.
    pub inventory_limit_base: Money,
}

/// The values of a starter that are no defaults.
fn values(answers: &Answers) -> Vec<(&'static str, String)> {
    let text = |text: &str| format!("{text:?}");
    let place = match answers.mode {
        Mode::Local => [
            ("environment.allow_plaintext_loopback", "true".to_owned()),
            ("environment.state_dir", text("state/local")),
            ("venues[].rest_url", text("http://127.0.0.1:9180")),
            ("venues[].market_stream_url", text("ws://127.0.0.1:9180")),
            ("venues[].user_stream_url", text("ws://127.0.0.1:9180/ws-api/v3")),
            ("venues[].keys.source", text("toy")),
            ("venues[].keys.key", text("toy-key-of-the-local-exchange")),
            ("venues[].keys.secret", text("toy-secret-of-the-local-exchange")),
        ],
        Mode::Testnet | Mode::Production => [
            ("environment.allow_plaintext_loopback", "false".to_owned()),
            ("environment.state_dir", text("state/testnet")),
            ("venues[].rest_url", text("https://testnet.binance.vision")),
            ("venues[].market_stream_url", text("wss://stream.testnet.binance.vision")),
            ("venues[].user_stream_url", text("wss://ws-api.testnet.binance.vision/ws-api/v3")),
            ("venues[].keys.source", text("env")),
            ("venues[].keys.key", text("EVENKEEL_SPOT_KEY")),
            ("venues[].keys.secret", text("EVENKEEL_SPOT_SECRET")),
        ],
    };
    let ours = [
        ("environment.mode", text(answers.mode.as_str())),
        ("venues[].name", text("spot")),
        ("venues[].kind", text("binance_spot")),
        ("instruments[].venue", text("spot")),
        ("instruments[].symbol", text(&answers.symbol)),
        ("instruments[].role", text("quote")),
        ("instruments[].inventory_target_base", text(super::settings::AS_FOUND)),
        ("instruments[].inventory_limit_base", answers.inventory_limit_base.to_string()),
        ("instruments[].max_order_quote", "100".to_owned()),
        ("quoting.half_spread_bps", "15".to_owned()),
        ("quoting.inventory_skew_bps_per_limit", "10".to_owned()),
        ("quoting.levels[].offset_bps", "0".to_owned()),
        ("quoting.levels[].size_quote", "50".to_owned()),
        ("risk.max_net_exposure_quote", "1000".to_owned()),
        ("risk.loss_limit_quote_session", "25".to_owned()),
    ];
    place.into_iter().chain(ours).collect()
}

/// The file as text.
#[must_use]
pub fn starter(answers: &Answers) -> String {
    let (table, specs, values) = (docs::DAEMON, FileKind::Daemon.specs(), values(answers));
    let mut text = format!(
        "# A first configuration for evenkeel, made by `evenkeel config init`.\n\
         # Every key stands here with its meaning; a line that begins with `# ` and a key shows\n\
         # the default. `evenkeel check --config FILE` says what it comes to.\n\
         # Mode: {}.\n",
        answers.mode.as_str()
    );
    for (path, _, meaning) in sections_last(table) {
        let Some(spec) = specs.keys.get(path) else { continue };
        let header = path.replace("[]", "");
        let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
        match spec.kind {
            Kind::Table | Kind::Tables => {
                let mark = if specs.is_optional_section(path) { "# " } else { "" };
                let (open, close) =
                    if spec.kind == Kind::Table { ("[", "]") } else { ("[[", "]]") };
                text.push_str(&format!("\n# {meaning}\n{mark}{open}{header}{close}\n"));
            }
            kind => {
                let value = values.iter().find(|(key, _)| *key == path).map(|(_, value)| value);
                let line = match (value, &spec.default) {
                    (Some(value), _) => format!("{name} = {value}"),
                    (None, Some(default)) => format!("# {name} = {}", literal(kind, default)),
                    (None, None) => format!("# {name} ="),
                };
                text.push_str(&format!("# {meaning}\n{line}\n"));
            }
        }
    }
    text
}

/// Keys in an order that TOML takes: those of a section before its inner sections.
fn sections_last(
    table: &[docs::Doc],
) -> impl Iterator<Item = (&'static str, docs::OnReload, &'static str)> {
    let specs = FileKind::Daemon.specs();
    let section = |path: &str| -> String {
        match specs.keys.get(path).map(|spec| spec.kind) {
            Some(Kind::Table) => path.to_owned(),
            Some(Kind::Tables) => format!("{path}[]"),
            _ => path.rsplit_once('.').map_or("", |(section, _)| section).to_owned(),
        }
    };
    let mut order: Vec<String> = Vec::new();
    for (path, ..) in table {
        let own = section(path);
        if !order.contains(&own) {
            order.push(own);
        }
    }
    let mut sorted = table.to_vec();
    sorted.sort_by_key(|(path, ..)| order.iter().position(|own| *own == section(path)));
    sorted.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starter_is_valid_and_says_everything() {
        for mode in [Mode::Local, Mode::Testnet] {
            let symbol = "ETHUSDT".to_owned();
            let inventory_limit_base = Money::new(5, 1);
            let text = starter(&Answers { mode, symbol, inventory_limit_base });
            let loaded = super::super::parse(&text, "starter")
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(loaded.settings.environment.mode, mode);
            assert_eq!(loaded.settings.instruments[0].symbol, "ETHUSDT");
            for (path, _, meaning) in docs::DAEMON {
                assert!(text.contains(meaning), "{path}");
            }
        }
    }
}
