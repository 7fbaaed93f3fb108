//! The writer thread: bounded queue, segments of bounded size, bounded number of segments.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Header, Record};
use crate::domain::{Span, Ts};

/// Longest time from writing a record that sent orders to having it on disk.
const SYNC_WITHIN: Duration = Duration::from_millis(50);

/// Where and how much.
#[derive(Clone, Debug)]
pub struct Params {
    /// The directory of the segments, made when missing.
    pub dir: PathBuf,
    /// Records that may wait for the writer; one more is lost and reported.
    pub queue: usize,
    /// Begin a new segment beyond this size, bytes.
    pub segment_bytes: u64,
    /// Segments kept; the oldest is removed when one more begins.
    pub segments: usize,
}

impl Params {
    /// 65,536 records of queue and 64 segments of 256 MiB.
    #[must_use]
    pub fn new(dir: &Path) -> Params {
        Params { dir: dir.to_owned(), queue: 65_536, segment_bytes: 256 << 20, segments: 64 }
    }
}

/// Why a record is not in the journal. Either means: no new risk until somebody has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The disk is slower than the market: the queue is full and the record is lost.
    Overflow,
    /// Writing failed; the journal of this run has ended.
    Failed(String),
}

#[derive(Debug, Default)]
struct Shared {
    queued: AtomicU64,
    failed: OnceLock<String>,
}

/// The journal of a run. Dropping it writes and syncs what is queued.
#[derive(Debug)]
pub struct Writer {
    records: Option<SyncSender<Record>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begin the journal of a run.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn open(params: Params, header: Header) -> std::io::Result<Writer> {
        fs::create_dir_all(&params.dir)?;
        let (records, queue) = sync_channel(params.queue);
        let shared = Arc::new(Shared::default());
        let segments = Segments::open(params, header)?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_all(&queue, segments, &for_thread))?;
        Ok(Writer { records: Some(records), shared, thread: Some(thread) })
    }

    /// Hand over a record; never waits.
    ///
    /// # Errors
    /// The record is not, or will not be, in the journal.
    pub fn offer(&self, record: Record) -> Result<(), Trouble> {
        if let Some(trouble) = self.failure() {
            return Err(trouble);
        }
        let records = self.records.as_ref().expect("taken only by drop");
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        records.try_send(record).map_err(|error| {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Trouble::Overflow,
                TrySendError::Disconnected(_) => Trouble::Failed("the writer died".to_owned()),
            }
        })
    }

    /// The failure that ended the journal, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<Trouble> {
        self.shared.failed.get().map(|text| Trouble::Failed(text.clone()))
    }

    /// Records handed over and not yet written.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.shared.queued.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.records.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been reported by the panic hook; nothing is left to do.
            drop(thread.join());
        }
    }
}

fn write_all(queue: &Receiver<Record>, mut segments: Segments, shared: &Shared) {
    // The instant of the oldest record that sent orders and is not on disk yet.
    let mut unsynced: Option<Ts> = None;
    loop {
        let received = match unsynced {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => queue.recv_timeout(SYNC_WITHIN),
        };
        let outcome = match received {
            Ok(record) => {
                shared.queued.fetch_sub(1, Ordering::Relaxed);
                if record.sent_orders() {
                    unsynced.get_or_insert(record.now);
                }
                let overdue = unsynced.is_some_and(|since| {
                    record.now.since(since) >= Span::from_ms(SYNC_WITHIN.as_millis() as i64)
                });
                segments.write(&record).and_then(|()| {
                    if overdue { segments.sync().map(|()| unsynced = None) } else { Ok(()) }
                })
            }
            Err(RecvTimeoutError::Timeout) => segments.sync().map(|()| unsynced = None),
            Err(RecvTimeoutError::Disconnected) => {
                if let Err(error) = segments.sync() {
                    shared.failed.get_or_init(|| segments.words(&error));
                }
                return;
            }
        };
        if let Err(error) = outcome {
            shared.failed.get_or_init(|| segments.words(&error));
            return;
        }
    }
}

/// The segment being written and its place among the others.
struct Segments {
    params: Params,
    header: Header,
    file: BufWriter<File>,
    number: u32,
    bytes: u64,
    line: Vec<u8>,
}

impl Segments {
    fn open(params: Params, header: Header) -> std::io::Result<Segments> {
        let file = create(&params.dir, header.epoch, 0)?;
        let mut segments = Segments { params, header, file, number: 0, bytes: 0, line: Vec::new() };
        segments.begin()?;
        Ok(segments)
    }

    fn begin(&mut self) -> std::io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &self.header)?;
        self.put_line()?;
        self.sync()?;
        File::open(&self.params.dir)?.sync_all()?;
        let mut names = super::reader::segment_paths(&self.params.dir)?;
        let surplus = names.len().saturating_sub(self.params.segments.max(1));
        for oldest in names.drain(..surplus) {
            fs::remove_file(oldest)?;
        }
        Ok(())
    }

    fn write(&mut self, record: &Record) -> std::io::Result<()> {
        if self.bytes > self.params.segment_bytes {
            self.sync()?;
            self.number += 1;
            self.bytes = 0;
            self.file = create(&self.params.dir, self.header.epoch, self.number)?;
            self.begin()?;
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.put_line()
    }

    fn put_line(&mut self) -> std::io::Result<()> {
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.file.write_all(&self.line)?;
        self.file.flush()
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }

    fn words(&self, error: &std::io::Error) -> String {
        format!("journal in {}: {error}", self.params.dir.display())
    }
}

fn create(dir: &Path, epoch: u32, number: u32) -> std::io::Result<BufWriter<File>> {
    // Ten and six digits: the order of the names is the order of time.
    let path = dir.join(format!("journal-{epoch:010}-{number:06}.jsonl"));
    OpenOptions::new().write(true).create_new(true).open(path).map(BufWriter::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Control, Event};
    use crate::journal::Reader;

    fn record(seq: u64) -> Record {
        let inbox = vec![Event::Control(Control::Pause)];
        Record { seq, now: Ts(seq as i64), inbox, actions: Vec::new() }
    }

    #[test]
    fn what_is_offered_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::open(Params::new(dir.path()), Header::new(7, "hash")).unwrap();
        for seq in 1..=100 {
            writer.offer(record(seq)).unwrap();
        }
        drop(writer);
        let records: Vec<Record> =
            Reader::open(dir.path()).unwrap().map(|entry| entry.unwrap().1).collect();
        assert_eq!(records, (1..=100).map(record).collect::<Vec<_>>());
    }

    #[test]
    fn segments_are_bounded_in_size_and_number() {
        let dir = tempfile::tempdir().unwrap();
        let params = Params { segment_bytes: 500, segments: 3, ..Params::new(dir.path()) };
        let writer = Writer::open(params, Header::new(7, "hash")).unwrap();
        for seq in 1..=200 {
            writer.offer(record(seq)).unwrap();
        }
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        let last = Reader::open(dir.path()).unwrap().last().unwrap().unwrap().1;
        assert_eq!(last.seq, 200, "the newest are kept");
    }

    #[test]
    fn a_failing_disk_is_reported_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let params = Params { segment_bytes: 10, ..Params::new(dir.path()) };
        let writer = Writer::open(params, Header::new(7, "hash")).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        let trouble = (1..100_000).find_map(|seq| {
            std::thread::yield_now();
            writer.offer(record(seq)).err().filter(|t| *t != Trouble::Overflow)
        });
        assert!(matches!(trouble, Some(Trouble::Failed(_))), "{trouble:?}");
        assert!(writer.failure().is_some());
    }
}
