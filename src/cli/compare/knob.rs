//! One key of a configuration with other values, for [`super::sweep`].

use crate::config::{self, Settings};

/// A key and the values to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Section and key as the file has them, `quoting.min_half_spread_bps`; a number names an
    /// entry of an array of tables, `quoting.levels.0.size_base`.
    pub key: String,
    /// The values, as the file would have them.
    pub values: Vec<String>,
}

impl std::str::FromStr for Knob {
    type Err = String;

    fn from_str(text: &str) -> Result<Knob, String> {
        let wanted =
            || format!("{text}: wanted is KEY=VALUE,VALUE… such as hedge.enabled=true,false");
        let (key, values) = text.split_once('=').ok_or_else(wanted)?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let key = key.trim().to_owned();
        if !key.contains('.') || values.iter().any(String::is_empty) {
            return Err(wanted());
        }
        Ok(Knob { key, values })
    }
}

/// The settings of a file's text with another value of one key.
///
/// # Errors
/// What is wrong with the key or the value.
pub(super) fn turned(text: &str, key: &str, value: &str) -> Result<Settings, String> {
    let edited = edited(text, key, value)?;
    let loaded = config::parse(&edited, &format!("{key} = {value}"));
    loaded.map(|loaded| loaded.settings).map_err(|error| error.to_string())
}

/// The text with `key = value` in its section, in place of what stands there or at its beginning.
fn edited(text: &str, key: &str, value: &str) -> Result<String, String> {
    let (section, name) = key.rsplit_once('.').unwrap_or_default();
    let (table, nth) = match section.rsplit_once('.') {
        Some((table, nth)) if nth.parse::<usize>().is_ok() => (table, nth.parse().ok()),
        Some(_) | None => (section, None),
    };
    let header = if nth.is_some() { format!("[[{table}]]") } else { format!("[{table}]") };
    let lines: Vec<&str> = text.lines().collect();
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let starts = |(_, line): &(usize, &&str)| line.trim_start().starts_with(&header);
    let at = lines.iter().enumerate().filter(starts).nth(nth.unwrap_or(0)).map(|(at, _)| at);
    let at = at.ok_or_else(|| format!("{key}: there is no {header} of that number"))?;
    let end = lines[at + 1..].iter().position(|line| is_header(line));
    let end = end.map_or(lines.len(), |end| at + 1 + end);
    let holds = |line: &&str| line.split_once('=').is_some_and(|(left, _)| left.trim() == name);
    let old = lines[at + 1..end].iter().position(holds).map(|old| at + 1 + old);
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let line = format!("{name} = {value}");
    match old {
        Some(old) => out[old] = line,
        None => out.insert(at + 1, line),
    }
    Ok(out.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[a]\nx = 1 # one\n\n[[a.b]]\ny = 1\n[[a.b]]\ny = 2\n[c]\nx = 3\n";

    #[test]
    fn the_key_of_its_section_is_replaced_or_added() {
        let check = |key, value, wanted: &str| {
            let got = edited(TEXT, key, value).unwrap();
            assert_eq!(got, wanted, "{key}");
        };
        check("a.x", "7", &TEXT.replace("x = 1 # one", "x = 7"));
        check("c.x", "7", &TEXT.replace("x = 3", "x = 7"));
        check("a.b.1.y", "7", &TEXT.replace("y = 2", "y = 7"));
        check("c.z", "7", &TEXT.replace("[c]\n", "[c]\nz = 7\n"));
        assert!(edited(TEXT, "d.x", "7").is_err());
        assert!(edited(TEXT, "a.b.2.y", "7").is_err());
    }

    #[test]
    fn a_knob_is_a_key_of_a_section_with_values() {
        let knob: Knob = "quoting.size_skew=0, 0.5,1".parse().unwrap();
        assert_eq!(knob.key, "quoting.size_skew");
        assert_eq!(knob.values, ["0", "0.5", "1"]);
        for bad in ["", "quoting.size_skew", "size_skew=1", "quoting.size_skew=1,,2"] {
            assert!(bad.parse::<Knob>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_demo_turned_is_what_it_says() {
        let demo = include_str!("../../../config/demo.toml");
        assert!(!turned(demo, "hedge.enabled", "false").unwrap().hedge.enabled);
        assert!(turned(demo, "hedge.enabled", "maybe").is_err());
        assert!(turned(demo, "hedge.enable", "true").is_err());
    }
}
