//! Recordings from disk, plain or gzipped, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

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

/// The lines of a file; gzip is told by its first two bytes, not by the name. A file that breaks
/// off ends the lines there with an error in the log.
pub fn read_lines(path: &Path) -> Result<Box<dyn Iterator<Item = String> + Send>, RecordingError> {
    let fail = |source| RecordingError { path: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path).map_err(fail)?);
    let gzipped = reader.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read + Send> =
        if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let name = path.display().to_string();
    let lines = BufReader::with_capacity(256 * 1024, reader).lines();
    Ok(Box::new(lines.map_while(move |line| {
        line.map_err(|error| {
            tracing::error!(event = "recording_broken", file = %name, %error, "recording ends early");
        })
        .ok()
    })))
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
