//! Tables for people, from the JSON that machines get: the two cannot drift apart.

use serde_json::Value;

/// Any answer of a daemon as text: an object as `key  value` lines, a list of objects as columns.
#[must_use]
pub(super) fn render(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            for (key, inner) in fields {
                if is_plain(inner) {
                    out.push_str(&format!("{:indent$}{key:<width$}  {}\n", "", plain(inner)));
                } else {
                    out.push_str(&format!("{:indent$}{key}\n", ""));
                    block(inner, indent + 2, out);
                }
            }
        }
        Value::Array(items) if items.is_empty() => out.push_str(&format!("{:indent$}(none)\n", "")),
        Value::Array(items) if items.iter().all(is_row) => {
            let rows = rows(items);
            columns(&rows, indent, out);
        }
        Value::Array(items) => {
            for item in items {
                block(item, indent, out);
                if !is_plain(item) {
                    out.push('\n');
                }
            }
        }
        _ => out.push_str(&format!("{:indent$}{}\n", "", plain(value))),
    }
}

/// An object of plain values can stand in a row.
fn is_row(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.values().all(is_plain))
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A value without quotes. Control characters of a remote answer never reach the terminal.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Array(_) | Value::Object(_) => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A head with every key that occurs, then one row an item.
fn rows(items: &[Value]) -> Vec<Vec<String>> {
    let mut head: Vec<String> = Vec::new();
    for key in items.iter().filter_map(Value::as_object).flat_map(|fields| fields.keys()) {
        if !head.contains(key) {
            head.push(key.clone());
        }
    }
    let mut rows = vec![head.clone()];
    for item in items {
        rows.push(head.iter().map(|key| item.get(key).map_or_else(String::new, plain)).collect());
    }
    rows
}

/// Rows with every column as wide as its widest cell; numbers to the right.
pub(super) fn columns(rows: &[Vec<String>], indent: usize, out: &mut String) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, i: usize| row.get(i).cloned().unwrap_or_default();
    let width = |i: usize| rows.iter().map(|row| cell(row, i).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let is_number = |i: usize| {
        rows.iter()
            .skip(1)
            .all(|row| cell(row, i).parse::<f64>().is_ok() || cell(row, i).is_empty())
    };
    let numeric: Vec<bool> = (0..count).map(is_number).collect();
    for row in rows {
        let cells: Vec<String> = (0..count)
            .map(|i| {
                let (text, width) = (cell(row, i), widths[i]);
                if numeric[i] { format!("{text:>width$}") } else { format!("{text:<width$}") }
            })
            .collect();
        out.push_str(&format!("{:indent$}{}\n", "", cells.join("  ").trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_become_tables() {
        let text = render(&json!({
            "state": "QUOTING",
            "orders": [{"side": "buy", "px": "9.5"}, {"side": "sell", "px": "10.25"}],
            "halt": null,
        }));
        assert_eq!(
            text,
            "halt    -\norders\n     px  side\n    9.5  buy\n  10.25  sell\nstate   QUOTING\n"
        );
        assert_eq!(render(&json!([])), "(none)\n");
        assert!(!render(&json!("\u{1b}[31mred")).contains('\u{1b}'));
    }
}
