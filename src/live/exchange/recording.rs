//! Recordings from disk, plain or gzipped, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::domain::InstrumentKind;

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

/// Tells which market a recording is of by its first depth difference and its first price.
///
/// # Errors
/// Words: it cannot be read, or holds no Binance frames near its beginning.
pub fn identify(path: &Path) -> Result<Recording, String> {
    let lines = read_lines(path).map_err(|error| error.to_string())?;
    let (mut market, mut price) = (None, None);
    for line in lines.take(LINES_TO_TELL) {
        let Some((_, json)) = line.split_once(' ') else { continue };
        let Ok(frame) = serde_json::from_str::<serde_json::Value>(json) else { continue };
        let data = frame.get("data").unwrap_or(&frame);
        let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str);
        if text("e") == Some("depthUpdate") && market.is_none() {
            let kind = match data.get("pu") {
                Some(_) => InstrumentKind::LinearPerpetual,
                None => InstrumentKind::Spot,
            };
            market = text("s").map(|symbol| (kind, symbol.to_owned()));
        }
        if price.is_none() && (text("e") == Some("trade") || data.get("B").is_some()) {
            let found = text("p").or_else(|| text("b")).and_then(|price| price.parse().ok());
            price = found.filter(|price: &f64| price.is_finite() && *price > 0.0);
        }
        if let (Some((kind, symbol)), Some(price)) = (&market, price) {
            return Ok(Recording { kind: *kind, symbol: symbol.clone(), price });
        }
    }
    Err(format!(
        "{}: no depth difference and price within {LINES_TO_TELL} lines; a recording has lines \
         `receive-time JSON` of Binance spot or USD-M streams",
        path.display()
    ))
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
}
