//! The `[alerts]` section: who is told when something needs an operator.

use crate::domain::{NoteLevel, Span};

use super::build::{secret, source_word};
use super::reader::Table;
use super::secrets::SecretSource;
use super::settings::Mode;

/// What the receiver of alerts understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertForm {
    /// Our own JSON.
    Json,
    /// Slack's incoming webhook.
    Slack,
    /// Telegram's `sendMessage`, to this chat.
    Telegram(String),
}

/// `[alerts]`: log lines that are posted to a webhook.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// What the receiver understands.
    pub form: AlertForm,
    /// Where its address comes from; the address carries a token, so it is a secret.
    pub url: SecretSource,
    /// The least level that is sent.
    pub level: NoteLevel,
    /// The same alert comes once in this time.
    pub repeat_interval: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Json,
    Slack,
    Telegram,
}

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn alerts(table: Table<'_>, mode: Mode) -> Alerts {
    let words = [("json", Word::Json), ("slack", Word::Slack), ("telegram", Word::Telegram)];
    let word = table.choice("form", &words, true);
    let form = match word {
        Word::Json => AlertForm::Json,
        Word::Slack => AlertForm::Slack,
        Word::Telegram => AlertForm::Telegram(table.need("chat_id").unwrap_or_default()),
    };
    if word != Word::Telegram && table.has("chat_id") {
        table.problem("chat_id", "belongs to form = \"telegram\"");
    }
    let source = source_word(&table, mode);
    let alerts = Alerts {
        form,
        url: secret(&table, "url", source),
        level: table.choice(
            "level",
            &[("error", NoteLevel::Error), ("warn", NoteLevel::Warn)],
            true,
        ),
        repeat_interval: Span::from_s(table.whole("repeat_interval_s", 1..86_400, 300)),
    };
    table.finish();
    alerts
}
