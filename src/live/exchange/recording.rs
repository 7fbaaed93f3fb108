//! Recordings from disk, plain or gzipped, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::domain::{InstrumentKind, Money};

/// A recording that cannot be opened.
#[derive(Debug)]
pub struct RecordingError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

impl std::fmt::Display for RecordingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read the recording {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for RecordingError {}

/// A line longer than this is none.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// The lines of a file; gzip is told by its first two bytes, not by the name. What is not UTF-8 is
/// replaced. A file that breaks off, or has a line of more than 16 MiB, ends the lines there with an
/// error in the log.
pub fn read_lines(path: &Path) -> Result<Box<dyn Iterator<Item = String> + Send>, RecordingError> {
    let fail = |source| RecordingError { path: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path).map_err(fail)?);
    let gzipped = reader.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read + Send> =
        if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let name = path.display().to_string();
    let mut reader = BufReader::with_capacity(256 * 1024, reader);
    let mut number = 0_u64;
    Ok(Box::new(std::iter::from_fn(move || {
        number += 1;
        line(&mut reader).unwrap_or_else(|error| {
            tracing::error!(
                event = "recording_broken", file = %name, line = number, %error,
                "recording ends early"
            );
            None
        })
    })))
}

fn line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST_LINE {
        let text = "a line of more than 16 MiB: this is no recording";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Which market a recording is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Spot, or perpetual when its depth differences chain by `pu`.
    pub kind: InstrumentKind,
    /// The venue's symbol.
    pub symbol: String,
    /// A price near its beginning, quote per base.
    pub price: f64,
    /// The power of ten that all prices near its beginning are multiples of, quote per base.
    pub tick_size: Money,
    /// The same of quantities, base.
    pub lot_size: Money,
}

impl Recording {
    /// Whether two recordings are of one market, so that one continues the other.
    #[must_use]
    pub fn is_same_market(&self, other: &Recording) -> bool {
        (self.kind, &self.symbol) == (other.kind, &other.symbol)
    }
}

/// Lines looked at to tell what a recording is of.
const LINES_TO_TELL: usize = 2_000;

/// Tells which market a recording is of by its first depth difference and its first price, and in
/// what steps it is traded by all prices and quantities near its beginning.
///
/// # Errors
/// Words: it cannot be read, or holds no Binance frames near its beginning.
pub fn identify(path: &Path) -> Result<Recording, String> {
    let lines = read_lines(path).map_err(|error| error.to_string())?;
    let mut told = Told::default();
    for line in lines.take(LINES_TO_TELL) {
        let Some((_, json)) = line.split_once(' ') else { continue };
        let Ok(frame) = serde_json::from_str::<Value>(json) else { continue };
        told.hear(frame.get("data").unwrap_or(&frame));
    }
    told.recording().ok_or_else(|| {
        format!(
            "{}: no depth difference and price within {LINES_TO_TELL} lines; a recording has lines \
             `receive-time JSON` of Binance spot or USD-M streams",
            path.display()
        )
    })
}

/// What the first lines of a recording tell.
#[derive(Default)]
struct Told {
    market: Option<(InstrumentKind, String)>,
    price: Option<f64>,
    price_decimals: u32,
    quantity_decimals: u32,
}

impl Told {
    fn hear(&mut self, data: &Value) {
        let text = |key: &str| data.get(key).and_then(Value::as_str);
        let event = text("e");
        if event == Some("depthUpdate") && self.market.is_none() {
            let kind = match data.get("pu") {
                Some(_) => InstrumentKind::LinearPerpetual,
                None => InstrumentKind::Spot,
            };
            self.market = text("s").map(|symbol| (kind, symbol.to_owned()));
        }
        let is_trade = matches!(event, Some("trade" | "aggTrade"));
        if is_trade || text("B").is_some() {
            let (price, quantity) = if is_trade { ("p", "q") } else { ("b", "B") };
            self.scale(text(price), text(quantity));
            let found = text(price).and_then(|price| price.parse().ok());
            self.price = self.price.or(found.filter(|price: &f64| price.is_normal()));
        }
        for side in ["b", "a", "bids", "asks"] {
            for level in data.get(side).and_then(Value::as_array).into_iter().flatten() {
                let at = |index: usize| level.get(index).and_then(Value::as_str);
                self.scale(at(0), at(1));
            }
        }
    }

    fn scale(&mut self, price: Option<&str>, quantity: Option<&str>) {
        let decimals = |text: Option<&str>| {
            let number: Option<Money> = text.and_then(|text| text.parse().ok());
            number.map_or(0, |number| number.normalize().scale())
        };
        self.price_decimals = self.price_decimals.max(decimals(price));
        self.quantity_decimals = self.quantity_decimals.max(decimals(quantity));
    }

    fn recording(self) -> Option<Recording> {
        let (kind, symbol) = self.market?;
        Some(Recording {
            kind,
            symbol,
            price: self.price.filter(|price| *price > 0.0)?,
            tick_size: Money::new(1, self.price_decimals),
            lot_size: Money::new(1, self.quantity_decimals),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn plain_and_gzipped_lines_are_read_alike() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain.jsonl");
        std::fs::write(&plain, "one\ntwo\n").unwrap();
        let zipped = dir.path().join("zipped");
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&zipped).unwrap(),
            flate2::Compression::fast(),
        );
        encoder.write_all(b"one\ntwo\n").unwrap();
        encoder.finish().unwrap();
        for path in [plain, zipped] {
            assert_eq!(read_lines(&path).unwrap().collect::<Vec<_>>(), ["one", "two"]);
        }
        let Err(error) = read_lines(&dir.path().join("absent")) else { panic!("there is no file") };
        assert!(error.to_string().contains("absent"), "{error}");
    }

    #[test]
    fn the_first_lines_tell_market_price_and_steps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording");
        let lines = [
            r#"1 {"lastUpdateId":1,"bids":[["0.15200000","10.00000000"]],"asks":[]}"#,
            r#"2 {"stream":"x@depth","data":{"e":"depthUpdate","s":"DOGEUSDT","U":2,"u":3,"b":[["0.15123000","0.50000000"]],"a":[]}}"#,
            r#"3 {"stream":"x@trade","data":{"e":"trade","s":"DOGEUSDT","p":"0.1513","q":"7"}}"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let told = identify(&path).unwrap();
        assert_eq!((told.kind, told.symbol.as_str()), (InstrumentKind::Spot, "DOGEUSDT"));
        assert_eq!((told.price, told.tick_size), (0.1513, Money::new(1, 5)));
        assert_eq!(told.lot_size, Money::new(1, 1));
        std::fs::write(&path, lines[..2].join("\n")).unwrap();
        assert!(identify(&path).unwrap_err().contains("no depth difference and price"));
    }
}
