//! Reading a journal back: typed for replay, as it stands for `journal dump`.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FORMAT, Header, Record};
use crate::domain::Ts;

/// Why a journal cannot be read further.
#[derive(Debug)]
pub enum ReadError {
    /// The operating system refuses.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its words.
        error: std::io::Error,
    },
    /// There is no segment.
    Empty(PathBuf),
    /// A segment of another version.
    Version {
        /// The segment.
        path: PathBuf,
        /// What it is.
        text: String,
    },
    /// A line, other than a torn last one, that is no record.
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        text: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            ReadError::Empty(path) => write!(f, "{}: no journal segment here", path.display()),
            ReadError::Version { path, text } => write!(
                f,
                "{}: {text}; this program reads journal format {FORMAT} only: use the program \
                 that wrote it",
                path.display()
            ),
            ReadError::Damaged { path, line, text } => {
                write!(f, "{}: line {line} is no record: {text}", path.display())
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// The segments of a directory, oldest first.
pub(super) fn segment_paths(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with("journal-") && name.ends_with(".jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One segment, line by line.
struct Segment {
    path: PathBuf,
    bytes: BufReader<File>,
    line: u64,
    buffer: Vec<u8>,
}

/// A line of a segment.
enum Line<T> {
    Whole(T),
    /// The last line, which its writer could not finish.
    Torn,
    End,
}

impl Segment {
    /// `None` for a segment whose header was never finished.
    fn open(path: PathBuf) -> Result<Option<(Segment, Header)>, ReadError> {
        let file =
            File::open(&path).map_err(|error| ReadError::Io { path: path.clone(), error })?;
        let mut segment =
            Segment { path, bytes: BufReader::new(file), line: 0, buffer: Vec::new() };
        let Line::Whole(value) = segment.next_line::<serde_json::Value>()? else {
            return Ok(None);
        };
        let header = match value.get("evenkeel_journal") {
            Some(format) if *format == FORMAT => serde_json::from_value(value)
                .map_err(|e| format!("its header cannot be read ({e})")),
            Some(format) => Err(format!("it is journal format {format}")),
            None => Err("it is no journal".to_owned()),
        };
        match header {
            Ok(header) => Ok(Some((segment, header))),
            Err(text) => Err(ReadError::Version { path: segment.path, text }),
        }
    }

    fn next_line<'a, T: Deserialize<'a>>(&'a mut self) -> Result<Line<T>, ReadError> {
        self.buffer.clear();
        self.line += 1;
        let failed = |error| ReadError::Io { path: self.path.clone(), error };
        self.bytes.read_until(b'\n', &mut self.buffer).map_err(failed)?;
        if self.buffer.is_empty() {
            return Ok(Line::End);
        }
        if !self.buffer.ends_with(b"\n") {
            return Ok(Line::Torn);
        }
        match serde_json::from_slice(&self.buffer) {
            Ok(whole) => Ok(Line::Whole(whole)),
            // A loss of power can leave a last line of the right length with other bytes in it.
            Err(_) if self.bytes.fill_buf().map_err(failed)?.is_empty() => Ok(Line::Torn),
            Err(e) => Err(ReadError::Damaged {
                path: self.path.clone(),
                line: self.line,
                text: e.to_string(),
            }),
        }
    }
}

/// All segments of a directory, oldest first, opened one after the other.
struct Segments {
    paths: VecDeque<PathBuf>,
    current: Option<(Segment, Header)>,
    torn: u64,
}

impl Segments {
    fn open(dir: &Path) -> Result<Segments, ReadError> {
        let paths =
            segment_paths(dir).map_err(|error| ReadError::Io { path: dir.to_owned(), error })?;
        if paths.is_empty() {
            return Err(ReadError::Empty(dir.to_owned()));
        }
        Ok(Segments { paths: paths.into(), current: None, torn: 0 })
    }

    /// Apply `use_line` to the next whole line.
    fn next<T, R>(&mut self, use_line: impl Fn(T, &Header) -> R) -> Result<Option<R>, ReadError>
    where
        T: for<'a> Deserialize<'a>,
    {
        loop {
            if let Some((segment, header)) = &mut self.current {
                match segment.next_line::<T>()? {
                    Line::Whole(line) => return Ok(Some(use_line(line, header))),
                    Line::Torn => self.torn += 1,
                    Line::End => {}
                }
                self.current = None;
            }
            let Some(path) = self.paths.pop_front() else { return Ok(None) };
            self.current = Segment::open(path)?;
            self.torn += u64::from(self.current.is_none());
        }
    }
}

/// The records of a directory in order, each with the epoch of its run.
pub struct Reader {
    segments: Segments,
    failed: bool,
}

impl Reader {
    /// Begin with the oldest segment.
    ///
    /// # Errors
    /// A directory that cannot be read or holds no segment.
    pub fn open(dir: &Path) -> Result<Reader, ReadError> {
        Ok(Reader { segments: Segments::open(dir)?, failed: false })
    }
}

impl Iterator for Reader {
    type Item = Result<(u32, Record), ReadError>;

    /// Nothing follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.segments.next(|record: Record, header| (header.epoch, record));
        self.failed = next.is_err();
        next.transpose()
    }
}

/// What a dump came across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpSummary {
    /// Records written out.
    pub records: u64,
    /// Segments that end in a line that their writer could not finish.
    pub torn: u64,
}

/// A record whose content is passed through as it stands.
#[derive(Deserialize)]
struct Raw {
    seq: u64,
    now: Ts,
    inbox: Box<RawValue>,
    actions: Box<RawValue>,
}

/// Why a dump ended early.
#[derive(Debug)]
pub enum DumpError {
    /// The journal.
    Read(ReadError),
    /// Whoever was to take the lines.
    Write(std::io::Error),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DumpError::Read(error) => error.fmt(f),
            DumpError::Write(error) => write!(f, "output: {error}"),
        }
    }
}

impl std::error::Error for DumpError {}

/// Write all records of a directory, one JSON object a line: `epoch`, `seq`, `at` (RFC 3339),
/// `now_ns`, `inbox`, `actions`.
///
/// # Errors
/// A journal that cannot be read to its end, or an output that takes no more.
pub fn dump(dir: &Path, out: &mut impl Write) -> Result<DumpSummary, DumpError> {
    let mut segments = Segments::open(dir).map_err(DumpError::Read)?;
    let mut records = 0;
    let line = |raw: Raw, header: &Header| {
        format!(
            r#"{{"epoch":{},"seq":{},"at":"{}","now_ns":{},"inbox":{},"actions":{}}}"#,
            header.epoch, raw.seq, raw.now, raw.now.0, raw.inbox, raw.actions
        )
    };
    while let Some(line) = segments.next(line).map_err(DumpError::Read)? {
        writeln!(out, "{line}").map_err(DumpError::Write)?;
        records += 1;
    }
    Ok(DumpSummary { records, torn: segments.torn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const RECORD: &str = r#"{"seq":1,"now":1723161255208000000,"inbox":[],"actions":[]}"#;

    fn header() -> String {
        serde_json::to_string(&Header::new(7, "hash")).unwrap()
    }

    fn dump_of(files: &[(&str, String)]) -> Result<(String, DumpSummary), DumpError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let mut out = Vec::new();
        dump(dir.path(), &mut out).map(|summary| (String::from_utf8(out).unwrap(), summary))
    }

    #[test]
    fn dumped_lines_are_json_with_readable_times() {
        let (text, summary) =
            dump_of(&[("journal-1-0.jsonl", format!("{}\n{RECORD}\n", header()))]).unwrap();
        assert_eq!(summary, DumpSummary { records: 1, torn: 0 });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["at"], "2024-08-08T23:54:15.208Z");
        assert_eq!(line["epoch"], 7);
        assert_eq!(line["now_ns"], 1_723_161_255_208_000_000_i64);
    }

    #[test]
    fn a_torn_last_line_is_told_and_the_rest_is_read() {
        for tail in ["{\"seq\":2,\"no", "\0\0\0\0\n", "{\"seq\":2}\n"] {
            let torn = format!("{}\n{RECORD}\n{tail}", header());
            let next = format!("{}\n{RECORD}\n", header());
            let files = [("journal-1-0.jsonl", torn), ("journal-2-0.jsonl", next)];
            let (_, summary) = dump_of(&files).unwrap();
            assert_eq!(summary, DumpSummary { records: 2, torn: 1 }, "{tail:?}");
        }
    }

    #[test]
    fn a_segment_cut_in_its_header_is_told() {
        let (_, summary) = dump_of(&[("journal-1-0.jsonl", header()[..9].to_owned())]).unwrap();
        assert_eq!(summary, DumpSummary { records: 0, torn: 1 });
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_place() {
        let text = format!("{}\nnonsense\n{RECORD}\n", header());
        let error = dump_of(&[("journal-1-0.jsonl", text)]).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn other_versions_are_refused_with_words() {
        for other in ["{\"evenkeel_journal\":2}", "{}"] {
            let error = dump_of(&[("journal-1-0.jsonl", format!("{other}\n{RECORD}\n"))])
                .unwrap_err()
                .to_string();
            assert!(error.contains("journal format 1 only"), "{error}");
        }
        assert!(matches!(dump_of(&[]), Err(DumpError::Read(ReadError::Empty(_)))));
    }
}
