//! A JSON writer that keeps the documents' field order and never builds a tree.

use std::fmt::Write as _;

use crate::domain::Money;

/// One JSON object under construction.
#[derive(Debug)]
pub struct Object {
    text: String,
}

/// Starts an object.
#[must_use]
pub fn object() -> Object {
    let mut text = String::with_capacity(512);
    text.push('{');
    Object { text }
}

impl Object {
    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\":");
    }

    /// A string field.
    #[must_use]
    pub fn text(mut self, key: &str, value: &str) -> Object {
        self.key(key);
        push_text(&mut self.text, value);
        self
    }

    /// A whole-number field.
    #[must_use]
    pub fn int(mut self, key: &str, value: impl Into<i128>) -> Object {
        self.key(key);
        let value = value.into();
        // The wide integer is written several times slower, and hardly anything needs it.
        match i64::try_from(value) {
            Ok(value) => write!(self.text, "{value}"),
            Err(_) => write!(self.text, "{value}"),
        }
        .expect("writing to a String cannot fail");
        self
    }

    /// A true/false field.
    #[must_use]
    pub fn flag(mut self, key: &str, value: bool) -> Object {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// A decimal as a string with exactly `scale` decimals, cut towards zero: the spot style.
    #[must_use]
    pub fn fixed(mut self, key: &str, value: Money, scale: u32) -> Object {
        self.key(key);
        self.text.push('"');
        push_fixed(&mut self.text, value, scale);
        self.text.push('"');
        self
    }

    /// A decimal as a string without trailing zeros: the futures style.
    #[must_use]
    pub fn plain(mut self, key: &str, value: Money) -> Object {
        self.key(key);
        write!(self.text, "\"{}\"", value.normalize()).expect("writing to a String cannot fail");
        self
    }

    /// A field whose value is JSON already.
    #[must_use]
    pub fn raw(mut self, key: &str, json: &str) -> Object {
        self.key(key);
        self.text.push_str(json);
        self
    }

    /// A list of values that are JSON already.
    #[must_use]
    pub fn list(self, key: &str, items: impl IntoIterator<Item = String>) -> Object {
        let json = array(items);
        self.raw(key, &json)
    }

    /// Fields of another object, after those here.
    #[must_use]
    pub fn merge(mut self, other: &Object) -> Object {
        if other.text.len() > 1 {
            if self.text.len() > 1 {
                self.text.push(',');
            }
            self.text.push_str(&other.text[1..]);
        }
        self
    }

    /// The finished text.
    #[must_use]
    pub fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A list of values that are JSON already.
#[must_use]
pub fn array(items: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from("[");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text
}

/// A JSON string of any text.
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    push_text(&mut text, value);
    text
}

fn push_text(text: &mut String, value: &str) {
    text.push('"');
    if !value.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        text.push_str(value);
        text.push('"');
        return;
    }
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                write!(text, "\\u{:04x}", c as u32).expect("writing to a String cannot fail");
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Appends a decimal with exactly `scale` decimals, cut towards zero.
pub fn push_fixed(text: &mut String, value: Money, scale: u32) {
    if value.is_zero() && scale <= 8 {
        let zero = "0.00000000";
        text.push_str(if scale == 0 { "0" } else { &zero[..scale as usize + 2] });
        return;
    }
    let mut value = value.trunc_with_scale(scale);
    value.rescale(scale);
    if value.is_zero() {
        value.set_sign_positive(true);
    }
    write!(text, "{value}").expect("writing to a String cannot fail");
}

/// A decimal with exactly `scale` decimals, cut towards zero.
#[must_use]
pub fn fixed(value: Money, scale: u32) -> String {
    let mut text = String::with_capacity(24);
    push_fixed(&mut text, value, scale);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_valid_json_in_the_order_written() {
        let text = object()
            .text("s", "a\"\\\n")
            .int("i", -3_i64)
            .flag("f", true)
            .fixed("p", "1.5".parse().unwrap(), 8)
            .plain("q", "1.500".parse().unwrap())
            .list("l", ["1".to_owned(), "null".to_owned()])
            .merge(&object().int("z", 1_i64))
            .end();
        assert_eq!(
            text,
            r#"{"s":"a\"\\\u000a","i":-3,"f":true,"p":"1.50000000","q":"1.5","l":[1,null],"z":1}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert_eq!(fixed("-0.000000001".parse().unwrap(), 8), "0.00000000");
        assert_eq!(fixed(Money::ZERO, 8), "0.00000000");
        assert_eq!((fixed(Money::ZERO, 2), fixed(Money::ZERO, 0)), ("0.00".into(), "0".into()));
        assert_eq!(object().int("n", i128::MAX).end(), format!("{{\"n\":{}}}", i128::MAX));
    }
}
