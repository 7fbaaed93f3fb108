//! Where do lines go that nobody keeps for us? Into a file of a bounded size, with a bounded
//! number of elder ones beside it: `NAME`, `NAME.1` (newest of the elder), `NAME.2` …

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// A log file and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// It is put aside before it grows beyond this.
    pub max_bytes: u64,
    /// Most files that were put aside.
    pub keep: u32,
}

/// Writes lines and puts the file aside when it is full.
pub(super) struct Rotating {
    what: LogFile,
    file: File,
    written: u64,
}

impl Rotating {
    pub(super) fn open(what: &LogFile) -> Result<Rotating, String> {
        let failed = |e: io::Error| format!("log file {}: {e}", what.path.display());
        let file = append_to(what).map_err(failed)?;
        let written = file.metadata().map_err(failed)?.len();
        Ok(Rotating { what: what.clone(), file, written })
    }

    fn elder(&self, age: u32) -> PathBuf {
        let mut name = self.what.path.clone().into_os_string();
        name.push(format!(".{age}"));
        name.into()
    }

    fn put_aside(&mut self) -> io::Result<()> {
        for age in (1..self.what.keep).rev() {
            let (from, to) = (self.elder(age), self.elder(age + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        std::fs::rename(&self.what.path, self.elder(1))?;
        self.file = append_to(&self.what)?;
        self.written = 0;
        Ok(())
    }
}

fn append_to(what: &LogFile) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(&what.path)
}

impl Write for Rotating {
    /// A line that cannot be put into a new file still goes into the old one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let full = self.written > 0 && self.written + bytes.len() as u64 > self.what.max_bytes;
        if full {
            // Tried again with the next line; meanwhile the file grows.
            drop(self.put_aside());
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_put_aside_and_the_eldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let what = LogFile { path: path.clone(), max_bytes: 10, keep: 2 };
        let mut log = Rotating::open(&what).unwrap();
        for line in ["first\n", "second\n", "third\n", "fourth\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert_eq!(read("log").as_deref(), Some("fourth\n"));
        assert_eq!(read("log.1").as_deref(), Some("third\n"));
        assert_eq!(read("log.2").as_deref(), Some("second\n"));
        assert_eq!(read("log.3"), None);
        let mut again = Rotating::open(&what).unwrap();
        again.write_all(b"5th\n").unwrap();
        assert_eq!(read("log").as_deref(), Some("5th\n"), "what is there counts");
        assert_eq!(read("log.1").as_deref(), Some("fourth\n"));
    }
}
