//! Reads a TOML tree key by key and collects every problem, with its line, instead of stopping at
//! the first. A key is named, typed, bounded and given its default in one place; what nobody asked
//! for is reported as unknown. Whatever was read is kept for `check` to print.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::docs::general;
use super::settings::{AS_FOUND, Target};
use super::spec::{Kind, Spec, Specs};
use crate::domain::{Money, Span};

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1.
    pub line: usize,
    /// The key with its section, such as `quoting.half_spread_bps`.
    pub key: String,
    /// What is wrong and what is allowed.
    pub text: String,
}

/// A setting as it took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The key with its section; the unit is in its name.
    pub key: String,
    /// The value in the notation of the file.
    pub value: String,
    /// True when the file did not say it.
    pub is_default: bool,
}

/// What one reading of a file found.
pub(super) struct Sink<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
    resolved: RefCell<Vec<Resolved>>,
    specs: RefCell<Specs>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(text: &'a str) -> Sink<'a> {
        Sink {
            text,
            problems: RefCell::default(),
            resolved: RefCell::default(),
            specs: RefCell::default(),
        }
    }

    /// Report something at a place in the text.
    pub(super) fn problem(&self, at: usize, key: &str, text: impl Into<String>) {
        let line = self.line(at);
        self.problems.borrow_mut().push(Problem { line, key: key.to_owned(), text: text.into() });
    }

    fn resolve(&self, key: String, value: &impl fmt::Display, is_default: bool) {
        let value = value.to_string();
        self.resolved.borrow_mut().push(Resolved { key, value, is_default });
    }

    /// The line of a place in the text, from 1.
    fn line(&self, at: usize) -> usize {
        let end = at.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|&&b| b == b'\n').count()
    }

    /// What may be written, as far as it was asked for.
    pub(super) fn specs(self) -> Specs {
        self.specs.into_inner()
    }

    /// Everything found, problems in the order of lines.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Resolved>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        problems.dedup();
        (problems, self.resolved.into_inner())
    }
}

/// A value that can be read from TOML and shown again.
pub(super) trait Value: Sized + Clone + fmt::Display {
    /// What to call the type in a message.
    const KIND: &'static str;
    /// The same for the schema.
    const SPEC: Kind;
    fn from_toml(value: &DeValue<'_>) -> Option<Self>;
}

impl Value for Target {
    const KIND: &'static str = "a number, or \"as_found\"";
    const SPEC: Kind = Kind::DecimalOr(AS_FOUND);

    fn from_toml(value: &DeValue<'_>) -> Option<Target> {
        match value.as_str() {
            Some(text) if text == AS_FOUND => Some(Target::AsFound),
            _ => Decimal::from_toml(value).map(Target::Base),
        }
    }
}

impl Value for Decimal {
    const KIND: &'static str = "a number";
    const SPEC: Kind = Kind::Decimal;
    /// From the digits as written: `0.1` stays 0.1. A quoted number is taken as well.
    fn from_toml(value: &DeValue<'_>) -> Option<Decimal> {
        let text = match value {
            DeValue::Integer(n) if n.radix() == 10 => n.as_str(),
            DeValue::Float(n) => n.as_str(),
            DeValue::String(text) => text.as_ref(),
            _ => return None,
        };
        Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok()
    }
}

impl Value for f64 {
    const KIND: &'static str = "a finite number";
    const SPEC: Kind = Kind::Number;
    fn from_toml(value: &DeValue<'_>) -> Option<f64> {
        let number = match value {
            DeValue::Integer(n) if n.radix() == 10 => n.as_str().parse().ok(),
            DeValue::Float(n) => n.as_str().parse().ok(),
            _ => None,
        };
        number.filter(|n: &f64| n.is_finite())
    }
}

impl Value for i64 {
    const KIND: &'static str = "a whole number";
    const SPEC: Kind = Kind::Whole;
    fn from_toml(value: &DeValue<'_>) -> Option<i64> {
        let number = value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";
    const SPEC: Kind = Kind::Flag;
    fn from_toml(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }
}

impl Value for String {
    const KIND: &'static str = "a quoted text";
    const SPEC: Kind = Kind::Text;
    fn from_toml(value: &DeValue<'_>) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
}

/// One table of the file, or its absence.
pub(super) struct Table<'a> {
    sink: &'a Sink<'a>,
    path: String,
    at: usize,
    entries: Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn root(sink: &'a Sink<'a>, table: &'a DeTable<'a>) -> Table<'a> {
        Table::new(sink, String::new(), 0, Some(table))
    }

    fn new(sink: &'a Sink<'a>, path: String, at: usize, table: Option<&'a DeTable<'a>>) -> Self {
        let entries = table.map_or_else(Vec::new, |table| {
            table.iter().map(|(k, v)| (k.get_ref().as_ref(), k.span().start, v)).collect()
        });
        *sink.specs.borrow_mut().sections.entry(general(&path)).or_default() += 1;
        Table { sink, path, at, entries, asked: RefCell::default() }
    }

    /// The key with its section.
    pub(super) fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Keep what may be written under a key.
    fn spec(&self, key: &str, write: impl FnOnce(&mut Spec)) {
        let mut specs = self.sink.specs.borrow_mut();
        write(specs.keys.entry(general(&self.full(key))).or_default());
    }

    /// A value of zero is allowed beside the bounds, and means off.
    pub(super) fn zero_is_off(&self, key: &'static str) {
        self.spec(key, |spec| spec.zero_is_off = true);
    }

    fn ask(&self, key: &'static str, kind: Kind) {
        self.asked.borrow_mut().push(key);
        self.spec(key, |spec| {
            spec.asked += 1;
            spec.kind = kind;
        });
    }

    fn find(&self, key: &'static str, kind: Kind) -> Option<&'a Spanned<DeValue<'a>>> {
        self.ask(key, kind);
        self.entries.iter().find(|(name, ..)| *name == key).map(|(.., value)| *value)
    }

    /// Whether the file says anything under this key.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.entries.iter().any(|(name, ..)| *name == key)
    }

    /// Report a problem of a key, at its line, or at the section's when the key is absent.
    pub(super) fn problem(&self, key: &str, text: impl Into<String>) {
        let at = self.entries.iter().find(|(name, ..)| *name == key).map_or(self.at, |e| e.1);
        self.sink.problem(at, &self.full(key), text);
    }

    /// The line of a key, or of the section when the key is absent.
    pub(super) fn line(&self, key: &str) -> usize {
        let at = self.entries.iter().find(|(name, ..)| *name == key).map_or(self.at, |e| e.1);
        self.sink.line(at)
    }

    /// Report a problem of the section as a whole.
    pub(super) fn problem_here(&self, text: impl Into<String>) {
        self.sink.problem(self.at, &self.path, text);
    }

    /// The value of an optional key.
    pub(super) fn maybe<T: Value>(&self, key: &'static str) -> Option<T> {
        let found = self.find(key, T::SPEC)?;
        let value = T::from_toml(found.get_ref());
        match &value {
            Some(value) => self.sink.resolve(self.full(key), value, false),
            None => self.problem(key, format!("is {}; it must be {}", shown(found), T::KIND)),
        }
        value
    }

    /// The value of a key, or its default.
    pub(super) fn or<T: Value>(&self, key: &'static str, default: T) -> T {
        self.spec(key, |spec| spec.default = Some(default.to_string()));
        if self.has(key) {
            return self.maybe(key).unwrap_or(default);
        }
        self.ask(key, T::SPEC);
        self.sink.resolve(self.full(key), &default, true);
        default
    }

    /// The value of a key that must be there; `None` has been reported.
    pub(super) fn need<T: Value>(&self, key: &'static str) -> Option<T> {
        self.spec(key, |spec| spec.needed += 1);
        if !self.has(key) {
            self.ask(key, T::SPEC);
            self.problem(key, format!("is missing; it must be {}", T::KIND));
            return None;
        }
        self.maybe(key)
    }

    /// Hold a value against its bounds, both allowed.
    pub(super) fn within<T: PartialOrd + fmt::Display>(
        &self,
        key: &str,
        value: T,
        allowed: RangeInclusive<T>,
    ) -> T {
        self.bound(key, &allowed);
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.problem(key, format!("is {value}; allowed is {low} to {high}"));
        }
        value
    }

    fn bound<T: fmt::Display>(&self, key: &str, allowed: &RangeInclusive<T>) {
        let bounds = (allowed.start().to_string(), allowed.end().to_string());
        self.spec(key, |spec| spec.bounds = Some(bounds));
    }

    /// An optional decimal within bounds.
    pub(super) fn maybe_money(
        &self,
        key: &'static str,
        bounds: RangeInclusive<Money>,
    ) -> Option<Money> {
        self.bound(key, &bounds);
        self.maybe(key).map(|value| self.within(key, value, bounds))
    }

    /// A decimal within bounds that must be there; zero stands in when it was reported.
    pub(super) fn money(&self, key: &'static str, bounds: RangeInclusive<Money>) -> Money {
        self.bound(key, &bounds);
        self.need(key).map_or(Money::ZERO, |value| self.within(key, value, bounds))
    }

    /// A number within bounds, or its default.
    pub(super) fn number(&self, key: &'static str, bounds: Range<f64>, default: f64) -> f64 {
        self.within(key, self.or(key, default), bounds.start..=bounds.end)
    }

    /// A whole number within bounds, or its default.
    pub(super) fn whole(&self, key: &'static str, bounds: Range<i64>, default: i64) -> i64 {
        self.within(key, self.or(key, default), bounds.start..=bounds.end)
    }

    /// Milliseconds within bounds, or the default.
    pub(super) fn millis(&self, key: &'static str, bounds: Range<i64>, default: i64) -> Span {
        Span::from_ms(self.whole(key, bounds, default))
    }

    /// One of a list of words; the first is the default when `default` is set, otherwise it must
    /// be there and the first stands in when it was reported.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
        default: bool,
    ) -> T {
        self.spec(key, |spec| spec.choices = words.iter().map(|(name, _)| *name).collect());
        let word = if default {
            self.or(key, words[0].0.to_owned())
        } else {
            self.need(key).unwrap_or_else(|| words[0].0.to_owned())
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
            return *value;
        }
        let names: Vec<String> = words.iter().map(|(name, _)| format!("{name:?}")).collect();
        self.problem(key, format!("is {word:?}; allowed is {}", names.join(" or ")));
        words[0].1
    }

    /// A section; empty when the file has none.
    pub(super) fn table(&self, key: &'static str) -> Table<'a> {
        let found = self.find(key, Kind::Table);
        let at = self.entries.iter().find(|(name, ..)| *name == key).map_or(self.at, |e| e.1);
        if let Some(value) = found
            && value.get_ref().as_table().is_none()
        {
            self.problem(key, format!("is {}; it must be a table", shown(value)));
        }
        let inner = found.and_then(|value| value.get_ref().as_table());
        Table::new(self.sink, self.full(key), at, inner)
    }

    /// A list of sections, such as `[[venues]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(found) = self.find(key, Kind::Tables) else { return Vec::new() };
        let Some(array) = found.get_ref().as_array() else {
            self.problem(key, format!("is {}; it must be a list of tables", shown(found)));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let (path, at) = (format!("{}[{index}]", self.full(key)), item.span().start);
            match item.get_ref().as_table() {
                Some(table) => tables.push(Table::new(self.sink, path, at, Some(table))),
                None => {
                    let text = format!("is {}; it must be a table", shown(item));
                    self.sink.problem(at, &path, text);
                }
            }
        }
        tables
    }

    /// A text that must be there and that nothing shows again; empty when it was reported.
    pub(super) fn need_secret(&self, key: &'static str) -> SecretString {
        self.spec(key, |spec| spec.needed += 1);
        let text = self.find(key, Kind::Text).and_then(|value| String::from_toml(value.get_ref()));
        match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                self.sink.resolve(self.full(key), &"(hidden)", false);
                SecretString::from(text)
            }
            None => {
                self.problem(key, "is missing or empty; it must be a quoted text");
                SecretString::default()
            }
        }
    }

    /// A list of texts that must be there; empty when it was reported.
    pub(super) fn need_texts(&self, key: &'static str) -> Vec<String> {
        self.spec(key, |spec| spec.needed += 1);
        self.read_texts(key)
    }

    fn read_texts(&self, key: &'static str) -> Vec<String> {
        let list = self.find(key, Kind::Texts).and_then(|value| value.get_ref().as_array());
        let texts: Option<Vec<String>> =
            list.and_then(|list| list.iter().map(|v| String::from_toml(v.get_ref())).collect());
        match texts.filter(|texts| !texts.is_empty()) {
            Some(texts) => {
                self.sink.resolve(self.full(key), &texts.join(", "), false);
                texts
            }
            None => {
                self.problem(key, "is missing or no list of quoted texts");
                Vec::new()
            }
        }
    }

    /// A list of texts; empty when there is none.
    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        if self.has(key) {
            return self.read_texts(key);
        }
        self.ask(key, Kind::Texts);
        Vec::new()
    }

    /// The keys of this table with their values as decimals, for free-form lists of amounts.
    pub(super) fn amounts(&self) -> Vec<(String, Money)> {
        if let Some(spec) = self.sink.specs.borrow_mut().keys.get_mut(&general(&self.path)) {
            spec.kind = Kind::Amounts;
        }
        let mut amounts = Vec::new();
        for (name, at, value) in &self.entries {
            match Decimal::from_toml(value.get_ref()) {
                Some(amount) => {
                    self.sink.resolve(self.full(name), &amount, false);
                    amounts.push(((*name).to_owned(), amount));
                }
                None => {
                    let text = format!("is {}; it must be a number", shown(value));
                    self.sink.problem(*at, &self.full(name), text);
                }
            }
        }
        amounts
    }

    /// Report every key that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (name, at, _) in &self.entries {
            if asked.contains(name) {
                continue;
            }
            let text = match nearest(name, &asked) {
                Some(near) => format!("is not a key here; did you mean `{near}`?"),
                None => {
                    let mut names: Vec<&str> = asked.to_vec();
                    names.sort_unstable();
                    names.dedup();
                    format!("is not a key here; allowed are {}", names.join(", "))
                }
            };
            self.sink.problem(*at, &self.full(name), text);
        }
    }
}

/// A value in a message, without its content where that could be a secret put in a wrong place.
fn shown(value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The known name that is closest, when it is close enough to be meant.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let near = known.iter().map(|k| (distance(name, k), *k)).min()?;
    (near.0 <= 1 + name.chars().count() / 3).then_some(near.1)
}

/// Levenshtein distance: single-character insertions, deletions and substitutions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_find_their_neighbour() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(
            nearest("half_spred_bps", &["model", "half_spread_bps"]),
            Some("half_spread_bps")
        );
        assert_eq!(nearest("colour", &["model", "half_spread_bps"]), None);
    }

    #[test]
    fn decimals_keep_their_digits() {
        let table = DeTable::parse("a = 0.1\nb = 1e-8\nc = \"2.50\"\nd = inf").unwrap();
        let read = |key: &str| {
            let (_, value) = table.get_ref().iter().find(|(k, _)| k.get_ref() == key).unwrap();
            Decimal::from_toml(value.get_ref()).map(|d| d.to_string())
        };
        assert_eq!(read("a").as_deref(), Some("0.1"));
        assert_eq!(read("b").as_deref(), Some("0.00000001"));
        assert_eq!(read("c").as_deref(), Some("2.50"));
        assert_eq!(read("d"), None);
    }
}
