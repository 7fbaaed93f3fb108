//! What may be written under which key? Kept by the reader while it reads, so that the schema, the
//! reference page and the starter say what the reader does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::docs::{self, Doc, OnReload};
use super::reader::{Sink, Table};
use super::{build, exchange};

/// What a key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A section.
    #[default]
    Table,
    /// A list of sections.
    Tables,
    /// Free names with decimals.
    Amounts,
    /// A list of texts.
    Texts,
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Whole,
    /// A float.
    Number,
    /// An exact decimal; a quoted one is taken as well.
    Decimal,
    /// A decimal, or a word in its place.
    DecimalOr(&'static str),
}

/// One key, as the reader asked for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    pub(super) kind: Kind,
    /// Least and most, both allowed.
    pub(super) bounds: Option<(String, String)>,
    pub(super) default: Option<String>,
    pub(super) choices: Vec<&'static str>,
    pub(super) zero_is_off: bool,
    /// Times that it was asked for.
    pub(super) asked: usize,
    /// Times that it had to be there.
    pub(super) needed: usize,
}

/// All keys by path, with `[]` for every index, and how often each section was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Specs {
    pub(super) keys: BTreeMap<String, Spec>,
    pub(super) sections: BTreeMap<String, usize>,
}

impl Specs {
    fn add(&mut self, other: Specs) {
        for (path, times) in other.sections {
            *self.sections.entry(path).or_default() += times;
        }
        for (path, new) in other.keys {
            let own = self.keys.entry(path).or_insert_with(|| Spec {
                asked: 0,
                needed: 0,
                ..new.clone()
            });
            own.asked += new.asked;
            own.needed += new.needed;
            own.bounds = own.bounds.take().or(new.bounds);
            own.zero_is_off |= new.zero_is_off;
        }
    }

    fn read_times(&self, path: &str) -> usize {
        self.sections.get(parent(path)).copied().unwrap_or_default()
    }

    /// The reader asks for it whenever it reads the section.
    fn is_always_asked(&self, path: &str) -> bool {
        self.keys.get(path).is_some_and(|spec| spec.asked >= self.read_times(path))
    }

    /// A section that changes something by being there.
    pub(super) fn is_optional_section(&self, path: &str) -> bool {
        let spec = self.keys.get(path);
        spec.is_some_and(|spec| spec.kind == Kind::Table) && !self.is_always_asked(path)
    }

    fn is_required(&self, path: &str) -> bool {
        let Some(spec) = self.keys.get(path) else { return false };
        match spec.kind {
            Kind::Tables => NOT_EMPTY.contains(&path),
            Kind::Table => {
                let inner = self.keys.keys().filter(|key| parent(key) == path);
                self.is_always_asked(path) && inner.into_iter().any(|key| self.is_required(key))
            }
            _ => spec.needed >= self.read_times(path),
        }
    }
}

/// Lists that must have an entry.
const NOT_EMPTY: &[&str] = &["venues", "instruments", "quoting.levels", "accounts", "markets"];

/// The section of a key.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

fn name(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// Texts that lead the reader to every key there is; what is wrong with them does not matter.
const DAEMON_PROBES: &[&str] = &[
    "[[venues]]\n[[instruments]]\n[[quoting.levels]]",
    "[[venues]]\nkind = \"binance_usdm\"\ndead_man_switch_ms = 5000\n[[instruments]]\n\
     [[quoting.levels]]\n[market]\nassumed_volatility_bps_sqrt_s = 1\n[hedge]\nenabled = true\n\
     [presence]\nmin_base = 1\n[http.token]\n[alerts]\nform = \"telegram\"",
    "[alerts]\nform = \"json\"",
];
const EXCHANGE_PROBES: &[&str] = &[
    "[[accounts]]\npermissions = [\"x\"]\n[[accounts]]\n[[markets]]\n[[faults]]\nkind = \"gap\"",
    "[[markets]]\nsource = \"recording\"\n[[faults]]\nkind = \"latency_ms\"\nvenue = \"x\"\n\
     every_ms = 1\nfor_ms = 1",
    "[[faults]]\nkind = \"halt_symbol\"",
];

fn specs<T>(probes: &[&str], build: impl Fn(Table<'_>) -> T) -> Specs {
    let mut all = Specs::default();
    for text in probes {
        let sink = Sink::new(text);
        let (table, _) = DeTable::parse_recoverable(text);
        drop(build(Table::root(&sink, table.get_ref())));
        all.add(sink.specs());
    }
    all
}

/// Which file is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The daemon's.
    Daemon,
    /// The local exchange's.
    Exchange,
}

impl FileKind {
    pub(super) fn docs(self) -> &'static [Doc] {
        match self {
            FileKind::Daemon => docs::DAEMON,
            FileKind::Exchange => docs::EXCHANGE,
        }
    }

    pub(super) fn specs(self) -> Specs {
        match self {
            FileKind::Daemon => specs(DAEMON_PROBES, build::daemon),
            FileKind::Exchange => specs(EXCHANGE_PROBES, exchange::exchange),
        }
    }

    fn title(self) -> &'static str {
        match self {
            FileKind::Daemon => "evenkeel",
            FileKind::Exchange => "evenkeel local exchange",
        }
    }

    /// The JSON Schema (draft 2020-12) of the file, for editors and checkers.
    #[must_use]
    pub fn schema(self) -> Value {
        let mut schema = section("", self.docs(), &self.specs());
        if let Some(top) = schema.as_object_mut() {
            top.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
            top.insert("title".into(), self.title().into());
        }
        schema
    }

    /// The reference page, Markdown: one table a section.
    #[must_use]
    pub fn reference(self) -> String {
        let (docs, specs) = (self.docs(), self.specs());
        let mut text = String::new();
        for (path, _, meaning) in docs {
            let Some(spec) = specs.keys.get(*path) else { continue };
            let (open, close) = match spec.kind {
                Kind::Table => ("[", "]"),
                Kind::Tables => ("[[", "]]"),
                _ => continue,
            };
            let header = path.replace("[]", "");
            text.push_str(&format!("\n### `{open}{header}{close}`\n\n{meaning}\n\n"));
            let inside =
                if spec.kind == Kind::Tables { format!("{path}[]") } else { (*path).into() };
            text.push_str(
                "| Key | Allowed | Default | On reload | Meaning |\n|---|---|---|---|---|\n",
            );
            for (key, on_reload, meaning) in docs.iter().filter(|doc| parent(doc.0) == inside) {
                let Some(own) = specs.keys.get(*key) else { continue };
                if matches!(own.kind, Kind::Table | Kind::Tables) {
                    continue;
                }
                let default = match &own.default {
                    Some(default) => format!("`{}`", literal(own.kind, default)),
                    None if specs.is_required(key) => "**required**".to_owned(),
                    None => "none".to_owned(),
                };
                let on_reload = match on_reload {
                    OnReload::Applies => "applies",
                    OnReload::Limit => "applies; a big raise asks",
                    OnReload::Restart => "restart",
                };
                let (name, allowed) = (name(key), allowed(own));
                text.push_str(&format!(
                    "| `{name}` | {allowed} | {default} | {on_reload} | {meaning} |\n"
                ));
            }
        }
        text
    }
}

/// What may stand there, in words.
fn allowed(spec: &Spec) -> String {
    let kind = match spec.kind {
        _ if !spec.choices.is_empty() => {
            let words: Vec<String> =
                spec.choices.iter().map(|word| format!("`\"{word}\"`")).collect();
            return words.join(", ");
        }
        Kind::Table | Kind::Tables => "section",
        Kind::Amounts => "names with numbers",
        Kind::Texts => "list of texts",
        Kind::Text => "text",
        Kind::Flag => "`true`, `false`",
        Kind::Whole => "whole number",
        Kind::Number | Kind::Decimal => "number",
        Kind::DecimalOr(word) => return format!("number, or `\"{word}\"`"),
    };
    match &spec.bounds {
        Some((low, high)) if spec.zero_is_off => format!("{kind}, 0 or {low} to {high}"),
        Some((low, high)) => format!("{kind}, {low} to {high}"),
        None => kind.to_owned(),
    }
}

/// A default as the file would say it.
pub(super) fn literal(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Text => format!("{value:?}"),
        _ => value.to_owned(),
    }
}

fn section(path: &str, docs: &[Doc], specs: &Specs) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, _, meaning) in docs.iter().filter(|doc| parent(doc.0) == path) {
        let Some(spec) = specs.keys.get(*key) else { continue };
        let mut value = match spec.kind {
            Kind::Table => section(key, docs, specs),
            Kind::Tables => {
                json!({ "type": "array", "items": section(&format!("{key}[]"), docs, specs) })
            }
            _ => leaf(spec),
        };
        if let Some(value) = value.as_object_mut() {
            value.insert("description".into(), (*meaning).into());
            if NOT_EMPTY.contains(key) {
                value.insert("minItems".into(), 1.into());
            }
        }
        properties.insert(name(key).into(), value);
        if specs.is_required(key) {
            required.push(name(key));
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn leaf(spec: &Spec) -> Value {
    let number = |text: &str| text.parse::<Value>().unwrap_or(Value::Null);
    let mut value = match spec.kind {
        Kind::Table | Kind::Tables => json!({}),
        Kind::Amounts => json!({
            "type": "object", "additionalProperties": { "type": ["number", "string"] }
        }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole => json!({ "type": "integer" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Decimal => json!({ "type": ["number", "string"] }),
        Kind::DecimalOr(word) => json!({
            "anyOf": [{ "type": "number" }, { "type": "string", "description": word }]
        }),
    };
    let Some(map) = value.as_object_mut() else { return value };
    if let Some((low, high)) = &spec.bounds {
        let range = json!({ "minimum": number(low), "maximum": number(high) });
        if spec.zero_is_off {
            map.insert("anyOf".into(), json!([{ "const": 0 }, range]));
        } else if let Value::Object(range) = range {
            map.extend(range);
        }
    }
    if !spec.choices.is_empty() {
        map.insert("enum".into(), json!(spec.choices));
    }
    if let Some(default) = &spec.default {
        let default = match spec.kind {
            Kind::Text => Value::from(default.as_str()),
            _ => number(default),
        };
        map.insert("default".into(), default);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_read_is_documented_once_and_the_other_way_round() {
        for kind in [FileKind::Daemon, FileKind::Exchange] {
            let mut documented: Vec<&str> = kind.docs().iter().map(|doc| doc.0).collect();
            documented.sort_unstable();
            let specs = kind.specs();
            let read: Vec<&str> = specs.keys.keys().map(String::as_str).collect();
            assert_eq!(documented, read, "{kind:?}");
            for (path, _, meaning) in kind.docs() {
                assert!(meaning.ends_with('.'), "{path}: {meaning}");
            }
        }
    }
}
