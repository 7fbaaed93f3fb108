//! Who wakes the operator? Log lines of a level and above, posted to a webhook.
//!
//! A thread of its own behind a bounded queue: a webhook that hangs, refuses or floods costs the
//! daemon nothing but the alert. What waits is sent together, at most once in [`PACE`]; a repeated
//! alert comes once in `repeat_interval` with a count of those left out; a delivery is tried
//! [`TRIES`] times with growing pauses, the receiver's `Retry-After` respected, then counted as
//! lost and told in the log. The address is a secret (it carries the token) and is never shown.
//!
//! | Bound | When it is reached |
//! |---|---|
//! | [`WAITING`] alerts in the queue | the alert is lost and counted |
//! | [`TOGETHER`] alerts in one message | the rest comes with the next |
//! | [`TRIES`] tries of a delivery | its alerts are lost, counted and told in the log |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::Line;
use crate::domain::{NoteLevel, Span, Ts};
use crate::live::reach;

/// Alerts that may wait.
pub const WAITING: usize = 256;
/// Alerts that go out in one message.
pub const TOGETHER: usize = 20;
/// Times that a message is tried.
pub const TRIES: u32 = 4;
/// Least time between two messages; receivers allow about one a second.
pub const PACE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1000 });
/// For one try, connection included.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For what is still to be sent when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the receiver understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"source":"evenkeel","text":…,"alerts":[{event, level, at, message, fields…}]}`.
    Json,
    /// `{"text":…}`, as Slack's incoming webhooks take it.
    Slack,
    /// `{"chat_id":…,"text":…}`, as Telegram's `sendMessage` takes it.
    Telegram {
        /// The chat to write to.
        chat_id: String,
    },
}

/// The least level that is sent, warnings or errors; a reload changes it.
#[derive(Clone, Debug)]
pub struct AlertLevel(Arc<AtomicBool>);

impl AlertLevel {
    /// This level; everything below a warning counts as one.
    #[must_use]
    pub fn new(level: NoteLevel) -> AlertLevel {
        AlertLevel(Arc::new(AtomicBool::new(level < NoteLevel::Error)))
    }

    /// This level from now on.
    pub fn set(&self, level: NoteLevel) {
        self.0.store(level < NoteLevel::Error, Ordering::Relaxed);
    }

    fn get(&self) -> NoteLevel {
        if self.0.load(Ordering::Relaxed) { NoteLevel::Warn } else { NoteLevel::Error }
    }
}

/// Where alerts go.
#[derive(Clone, Debug)]
pub struct Params {
    /// What the receiver understands.
    pub form: Form,
    /// Its address: https, or http on this machine.
    pub url: SecretString,
    /// The least level that is sent.
    pub level: AlertLevel,
    /// The same alert comes once in this time.
    pub repeat_interval: Span,
    /// Certificate authorities beside the system's.
    pub ca_files: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
struct Alert {
    at: Ts,
    level: NoteLevel,
    event: &'static str,
    message: String,
    fields: Map<String, Value>,
    left_out: u64,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    sent: Counter,
    lost: Counter,
}

/// The near end: decides what is an alert and passes it on. Dropping it sends what waits, for
/// three seconds at most.
#[derive(Debug)]
pub struct Alerts {
    level: AlertLevel,
    repeat_interval: Span,
    last: BTreeMap<String, (Ts, u64)>,
    queue: Option<SyncSender<Alert>>,
    counts: Counts,
    courier: Option<(JoinHandle<()>, Receiver<()>)>,
}

impl Alerts {
    /// Start the thread that delivers.
    ///
    /// # Errors
    /// Words without the address: an address that cannot be used, a CA file without certificates,
    /// no thread.
    pub fn start(params: Params, registry: &mut Registry) -> Result<Alerts, String> {
        let client = client(&params)?;
        let counts = Counts::default();
        registry.register("evenkeel_alerts_sent", "Alerts delivered", counts.sent.clone());
        registry.register(
            "evenkeel_alerts_lost",
            "Alerts not delivered: queue full, or the receiver refused or did not answer",
            counts.lost.clone(),
        );
        let (queue, waiting) = sync_channel(WAITING);
        let (done, ended) = sync_channel(1);
        let (level, repeat_interval) = (params.level.clone(), params.repeat_interval);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime for alerts: {error}"))?;
        let courier = Courier { params, client, counts: counts.clone(), runtime };
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(move || {
            courier.deliver_all(&waiting);
            if done.send(()).is_err() {
                tracing::debug!(event = "alerts_late", "the run did not wait for its last alerts");
            }
        });
        let thread = thread.map_err(|error| format!("no thread for alerts: {error}"))?;
        let (last, courier) = (BTreeMap::new(), Some((thread, ended)));
        Ok(Alerts { level, repeat_interval, last, queue: Some(queue), counts, courier })
    }

    /// Pass a log line on if it is an alert; never waits.
    pub(super) fn offer(&mut self, at: Ts, line: &Line) {
        if line.level < self.level.get() {
            return;
        }
        let key =
            line.flood_key.clone().unwrap_or_else(|| format!("{} {}", line.event, line.message));
        let Some(left_out) = self.admit(at, key) else { return };
        let alert = Alert {
            at,
            level: line.level,
            event: line.event,
            message: line.message.clone(),
            fields: line.fields.clone(),
            left_out,
        };
        let Some(queue) = &self.queue else { return };
        if queue.try_send(alert).is_err() {
            self.counts.lost.inc();
        }
    }

    /// How many of the same were left out before this one; `None` when this one is too.
    fn admit(&mut self, at: Ts, key: String) -> Option<u64> {
        let interval = self.repeat_interval;
        self.last.retain(|_, (last, left_out)| *left_out > 0 || at.since(*last) < interval);
        match self.last.get_mut(&key) {
            Some((last, left_out)) if at.since(*last) < interval => {
                *left_out += 1;
                None
            }
            Some((last, left_out)) => {
                *last = at;
                Some(std::mem::take(left_out))
            }
            None => {
                if self.last.len() >= WAITING {
                    self.last.pop_first();
                }
                self.last.insert(key, (at, 0));
                Some(0)
            }
        }
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some((thread, ended)) = self.courier.take()
            && ended.recv_timeout(FAREWELL).is_ok()
        {
            // A panic in it has been reported by the panic hook.
            drop(thread.join());
        }
    }
}

fn client(params: &Params) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(params.url.expose_secret())
        .map_err(|_| "alerts.url leads to no address; it must be https://…".to_owned())?;
    reach::permitted(url.scheme(), url.host_str().unwrap_or_default())
        .map_err(|why| format!("alerts.url: {why}"))?;
    let tls = reach::client_config(&params.ca_files).map_err(|error| error.to_string())?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(rustls::ClientConfig::clone(&tls))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("alerts: {}", error.without_url()))
}

/// The far end, on its own thread.
struct Courier {
    params: Params,
    client: reqwest::Client,
    counts: Counts,
    runtime: tokio::runtime::Runtime,
}

impl Courier {
    fn deliver_all(&self, waiting: &Receiver<Alert>) {
        while let Ok(first) = waiting.recv() {
            let mut batch = vec![first];
            batch.extend(waiting.try_iter().take(TOGETHER - 1));
            let count = batch.len() as u64;
            match self.runtime.block_on(self.deliver(&batch)) {
                Ok(()) => {
                    self.counts.sent.inc_by(count);
                }
                Err(why) => {
                    self.counts.lost.inc_by(count);
                    tracing::warn!(event = "alerts_lost", count, "alerts not delivered: {why}");
                }
            }
            self.runtime.block_on(async { tokio::time::sleep(PACE).await });
        }
    }

    async fn deliver(&self, batch: &[Alert]) -> Result<(), String> {
        let body = body(&self.params.form, batch);
        let mut pause = Duration::from_secs(1);
        let mut tries = 1;
        loop {
            let (why, asked) = match self.attempt(body.clone()).await {
                Attempt::Delivered => return Ok(()),
                Attempt::Refused(why) => return Err(why),
                Attempt::Failed(why, asked) => (why, asked),
            };
            if tries == TRIES {
                return Err(format!("{why}, {TRIES} times"));
            }
            tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
            tries += 1;
        }
    }

    async fn attempt(&self, body: String) -> Attempt {
        let request = self
            .client
            .post(self.params.url.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let reply = match request.send().await {
            Ok(reply) => reply,
            Err(error) => return Attempt::Failed(words(error), None),
        };
        let status = reply.status();
        let why = format!("the receiver answered {status}");
        if status.is_success() {
            Attempt::Delivered
        } else if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            Attempt::Refused(why)
        } else {
            let asked = reply.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
            let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            Attempt::Failed(why, asked)
        }
    }
}

/// What came of one try.
enum Attempt {
    Delivered,
    /// Trying again would end the same.
    Refused(String),
    /// Worth another try, after the pause that the receiver asked for.
    Failed(String, Option<Duration>),
}

/// The words of an error and of what caused it, without the address.
fn words(error: reqwest::Error) -> String {
    use std::error::Error;
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn body(form: &Form, batch: &[Alert]) -> String {
    let text = text(batch);
    match form {
        Form::Slack => json!({ "text": text }),
        Form::Telegram { chat_id } => json!({ "chat_id": chat_id, "text": text }),
        Form::Json => {
            let alerts: Vec<Value> = batch
                .iter()
                .map(|alert| {
                    json!({
                        "event": alert.event,
                        "level": alert.level,
                        "at": alert.at.to_string(),
                        "at_ns": alert.at.0,
                        "message": alert.message,
                        "left_out": alert.left_out,
                        "fields": alert.fields,
                    })
                })
                .collect();
            json!({ "source": "evenkeel", "text": text, "alerts": alerts })
        }
    }
    .to_string()
}

/// One line an alert, for people.
fn text(batch: &[Alert]) -> String {
    let mut text = String::new();
    for alert in batch {
        if !text.is_empty() {
            text.push('\n');
        }
        let level = if alert.level == NoteLevel::Error { "ERROR" } else { "WARN" };
        text.push_str(&format!("evenkeel {level} {}: {}", alert.event, alert.message));
        if alert.left_out > 0 {
            text.push_str(&format!(" (and {} more like it)", alert.left_out));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::Sender;

    use super::*;
    use crate::domain::{HaltCause, Note};
    use crate::telemetry::{Names, describe};

    /// A receiver that answers one request after the other with these replies, and passes on what
    /// it was sent. When the replies are used up it accepts and stays silent.
    fn receiver(replies: Vec<&'static str>) -> (String, Receiver<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/CANARY", listener.local_addr().unwrap());
        let (told, bodies) = std::sync::mpsc::channel();
        std::thread::spawn(move || serve(&listener, replies, &told));
        (url, bodies)
    }

    fn serve(listener: &TcpListener, replies: Vec<&'static str>, told: &Sender<Value>) {
        let mut silent = Vec::new();
        let mut replies = replies.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if told.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
            match replies.next() {
                Some(reply) => stream.write_all(reply.as_bytes()).unwrap(),
                None => silent.push(stream),
            }
        }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    fn start(url: String, form: Form) -> Alerts {
        let params = Params {
            form,
            url: url.into(),
            level: AlertLevel::new(NoteLevel::Error),
            repeat_interval: Span::from_s(60),
            ca_files: Vec::new(),
        };
        Alerts::start(params, &mut Registry::default()).unwrap()
    }

    fn halted(text: &str) -> Line {
        let note = Note::Halted { cause: HaltCause::LossLimit, text: text.into() };
        describe(&note, &Names::default())
    }

    #[test]
    fn an_error_arrives_once_and_a_repetition_is_counted() {
        let (url, bodies) = receiver(vec![OK, OK]);
        let mut alerts = start(url, Form::Json);
        alerts.offer(Ts::from_ms(0), &describe(&Note::Paused { paused: true }, &Names::default()));
        for ms in [0, 10, 59_999] {
            alerts.offer(Ts::from_ms(ms), &halted("lost 500"));
        }
        let first = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(first["alerts"].as_array().unwrap().len(), 1, "{first}");
        assert_eq!(first["alerts"][0]["event"], "halted");
        assert_eq!(first["alerts"][0]["level"], "error");
        assert_eq!(first["text"], "evenkeel ERROR halted: halted: lost 500");
        alerts.offer(Ts::from_ms(60_000), &halted("lost 500"));
        let second = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(second["alerts"][0]["left_out"], 2);
    }

    #[test]
    fn a_receiver_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
        let (url, bodies) = receiver(vec![BUSY, BUSY, OK, GONE]);
        let mut alerts = start(url, Form::Slack);
        let counts = alerts.counts.clone();
        alerts.offer(Ts(0), &halted("one"));
        for _ in 0..3 {
            let body = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(body, json!({ "text": "evenkeel ERROR halted: halted: one" }));
        }
        alerts.offer(Ts(0), &halted("two"));
        bodies.recv_timeout(Duration::from_secs(10)).unwrap();
        drop(alerts);
        assert_eq!((counts.sent.get(), counts.lost.get()), (1, 1));
        assert!(bodies.try_recv().is_err(), "a refusal is final");
    }

    #[test]
    fn a_receiver_that_hangs_holds_nothing_up() {
        let (url, bodies) = receiver(Vec::new());
        let mut alerts = start(url, Form::Telegram { chat_id: "-42".into() });
        alerts.offer(Ts(0), &halted("first"));
        let body = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(body["chat_id"], "-42");
        for index in 0..2 * WAITING {
            alerts.offer(Ts(0), &halted(&format!("number {index}")));
        }
        assert_eq!(alerts.counts.lost.get(), WAITING as u64, "the queue is full, nobody waited");
        assert!(alerts.last.len() <= WAITING);
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_being_shown() {
        for url in ["CANARY", "http://example.org/CANARY", "ftp://127.0.0.1/CANARY"] {
            let params = Params {
                form: Form::Json,
                url: url.into(),
                level: AlertLevel::new(NoteLevel::Warn),
                repeat_interval: Span::from_s(1),
                ca_files: Vec::new(),
            };
            let error = Alerts::start(params, &mut Registry::default()).unwrap_err();
            assert!(error.contains("alerts.url") && !error.contains("CANARY"), "{error}");
        }
    }
}
