//! Where do time and bytes enter? Sockets, clocks, signals, the HTTP endpoints.
//!
//! **One trading thread.** Sockets, protocols and the engine share one thread and one task (see
//! `core`). A thread or task for each venue would cost a queue and a wake-up between reading a
//! frame and deciding on it, which is more than the decision itself; and what arrives together
//! could not be decided on together. The price is that a slow step delays every venue: steps are
//! bounded by a benchmark, everything else that is slow (journal, log, endpoints, latch file)
//! lives behind bounded queues on threads of its own (`observe`).
//!
//! **Every bound and what happens there.**
//!
//! | What | Bound | At the bound |
//! |---|---|---|
//! | websocket message, unsent bytes | [`link::Limits`] | the link closes, books on it are lost |
//! | silence of a link | [`link::Limits`] | the link closes, the protocol reconnects |
//! | requests in flight, waiting | [`http::Limits`] | the request is `NotSent` |
//! | body of a reply | [`http::Limits`] | the request is `Lost` |
//! | standstill of the trading thread | [`Params::stall`] | market links start anew |
//! | dashboards at once, what waits for a slow one | `feed` | refused, with words; skipped |
//! | connections to the endpoints | `serve` | the longest idle is closed |
//! | commands that wait | 64 | the command is refused, with words |
//! | log lines, journal, latch | `observe` | lost and counted; or a fault: no new risk |

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::{Control, Note, Ts, VenueId};
use crate::engine::{Ending, Engine};
use crate::journal;
use crate::venues::Protocol;

pub mod clock;
mod core;
pub mod exchange;
mod feed;
mod gauges;
pub mod http;
pub mod link;
mod metrics;
mod observe;
mod quality;
pub mod reach;
pub mod serve;
mod shutdown;
pub mod state_dir;
mod status;
mod story;
mod supervisor;

pub use self::core::SharedRegistry;
pub use metrics::{latency_histogram, link_name};
pub use observe::{LATCHES, LINES};
pub use status::{DriverStatus, LinkStatus, Snapshot};
pub use story::{Story, Tale};

/// Takes each note of the core, on the log thread, in order.
pub type NoteSink = Box<dyn FnMut(Ts, &Note) + Send>;

/// Reads the settings again and hands what changed to the engine by the given sender; answers as
/// JSON what was done, or says what is wrong. The flag confirms limits that grow a lot. Called on
/// a thread that may wait.
pub type Reload = Arc<dyn Fn(bool, &Sender<'_>) -> Result<String, String> + Send + Sync>;

/// Gives the engine a command, as [`Handle::send`] does.
pub type Sender<'a> = dyn Fn(Control) -> Result<(), String> + 'a;

/// Everything a driver is told.
pub struct Params {
    /// The venue of each instrument, in the order of [`crate::domain::InstrumentId`].
    pub instrument_venues: Vec<VenueId>,
    /// The configured name of each venue, in the order of [`VenueId`].
    pub venue_names: Vec<String>,
    /// Certificates to trust beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds of websockets.
    pub link: link::Limits,
    /// Bounds of requests.
    pub http: http::Limits,
    /// The endpoints, if any.
    pub serve: Option<serve::Params>,
    /// The journal, if any.
    pub journal: Option<(journal::Params, journal::Header)>,
    /// The state directory: locked for the run, keeps the latch, is told the served address.
    pub state: Option<state_dir::StateDir>,
    /// From the first request to stop to the end, whatever is left.
    pub shutdown_deadline: Duration,
    /// A standstill of the trading thread this long makes waiting market data worthless.
    pub stall: Duration,
    /// Whether SIGTERM, SIGINT, SIGQUIT and SIGHUP are ours to handle.
    pub signals: bool,
    /// Where metrics are registered, under full names, beside others'.
    pub registry: SharedRegistry,
    /// How settings are read again, if they can be.
    pub reload: Option<Reload>,
    /// What the dashboard shows of fills and warnings; whoever takes the notes writes it.
    pub story: Story,
}

impl Params {
    /// Defaults for these instruments and venues: no endpoints, no journal, no state directory, no
    /// signals, 10 s to shut down.
    #[must_use]
    pub fn new(instrument_venues: Vec<VenueId>, venue_names: Vec<String>) -> Params {
        Params {
            instrument_venues,
            venue_names,
            ca_files: Vec::new(),
            link: link::Limits::default(),
            http: http::Limits::default(),
            serve: None,
            journal: None,
            state: None,
            shutdown_deadline: Duration::from_secs(10),
            stall: Duration::from_secs(2),
            signals: false,
            registry: SharedRegistry::default(),
            reload: None,
            story: Story::default(),
        }
    }
}

/// Why a driver could not start, or did not end in order.
#[derive(Debug)]
pub enum LiveError {
    /// A setting: its words say which.
    Config(String),
    /// The operating system refuses something we need.
    System(String),
    /// The state directory.
    State(state_dir::StateError),
    /// Our own fault: the trading thread panicked. Orders may be left.
    Bug(String),
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiveError::Config(text) | LiveError::System(text) => f.write_str(text),
            LiveError::State(error) => error.fmt(f),
            LiveError::Bug(text) => {
                write!(f, "internal bug, orders may be left (see `evenkeel panic`): {text}")
            }
        }
    }
}

impl std::error::Error for LiveError {}

impl From<state_dir::StateError> for LiveError {
    fn from(error: state_dir::StateError) -> LiveError {
        LiveError::State(error)
    }
}

/// Speaks to a running driver from any thread.
#[derive(Clone)]
pub struct Handle {
    control: mpsc::Sender<Control>,
    board: Arc<status::Board>,
    address: Option<std::net::SocketAddr>,
}

impl Handle {
    /// Give a command; never waits.
    ///
    /// # Errors
    /// The driver has ended, or 64 commands wait already: the words for whoever gave it.
    pub fn send(&self, control: Control) -> Result<(), String> {
        self.control.try_send(control).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                format!("{} commands wait already: the trading thread is stuck", core::CONTROLS)
            }
            mpsc::error::TrySendError::Closed(_) => "the daemon has ended".to_owned(),
        })
    }

    /// Whether the trading thread has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.control.is_closed()
    }

    /// The last snapshot; `None` before the first.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.board.read().map(|(_, snapshot)| snapshot)
    }

    /// How old the last snapshot is.
    #[must_use]
    pub fn snapshot_age(&self) -> Option<Duration> {
        let (taken, _) = self.board.read()?;
        Some(clock::instant().saturating_duration_since(taken))
    }

    /// Where the endpoints answer, if there are any.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.address
    }
}

/// A driver that is ready to run: endpoints bound and answering, journal open.
pub struct Live {
    runtime: tokio::runtime::Runtime,
    driver: core::Driver,
    server: Option<serve::Server>,
}

impl Live {
    /// Put a driver together. The handle works from now on.
    ///
    /// # Errors
    /// Settings that cannot be used and what the operating system refuses.
    pub fn new(
        params: Params,
        engine: Engine,
        venues: Vec<Box<dyn Protocol>>,
        notes: NoteSink,
    ) -> Result<(Live, Handle), LiveError> {
        check(&params, venues.len())?;
        let tls = reach::client_config(&params.ca_files)
            .map_err(|error| LiveError::Config(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| LiveError::System(format!("no runtime: {e}")))?;
        let guard = runtime.enter();
        let journal = match params.journal {
            None => None,
            Some((journal, header)) => {
                let dir = journal.dir.display().to_string();
                let opened = journal::Writer::open(journal, header);
                Some(opened.map_err(|e| LiveError::System(format!("journal in {dir}: {e}")))?)
            }
        };
        let (control, controls) = mpsc::channel(core::CONTROLS);
        let board = Arc::new(status::Board::default());
        let mut handle = Handle { control, board: Arc::clone(&board), address: None };
        let server = match params.serve {
            None => None,
            Some(serve) => {
                let (registry, reload) = (Arc::clone(&params.registry), params.reload.clone());
                let story = params.story.clone();
                let started = serve::start(serve, handle.clone(), registry, reload, story);
                Some(started.map_err(LiveError::Config)?)
            }
        };
        handle.address = server.as_ref().map(|server| server.address);
        if let (Some(state), Some(address)) = (&params.state, handle.address) {
            state.publish_address(address)?;
        }
        let metrics = metrics::Metrics::register(&params.registry);
        let (lines_lost, journal_lost) = (metrics.lines_lost.clone(), metrics.journal_lost.clone());
        let observers = observe::Observers::start(
            notes,
            params.story,
            journal,
            params.state,
            lines_lost,
            journal_lost,
        )
        .map_err(|e| LiveError::System(format!("no thread for observers: {e}")))?;
        let parts = core::Parts {
            instrument_venues: params.instrument_venues,
            venue_names: params.venue_names,
            link_limits: params.link,
            http: http::Http::new(params.http, &tls).map_err(LiveError::System)?,
            tls,
            control: controls,
            handle: handle.clone(),
            board,
            observers,
            metrics,
            shutdown_deadline: params.shutdown_deadline,
            stall: params.stall,
            signals: params.signals,
            reload: params.reload,
        };
        let driver = core::Driver::new(parts, engine, venues)
            .map_err(|e| LiveError::System(format!("signals cannot be handled: {e}")))?;
        drop(guard);
        Ok((Live { runtime, driver, server }, handle))
    }

    /// Run on this thread until the end.
    ///
    /// # Errors
    /// [`LiveError::Bug`] when the trading thread panicked.
    pub fn run(self) -> Result<Ending, LiveError> {
        let Live { runtime, mut driver, server } = self;
        let run = AssertUnwindSafe(|| {
            // Unconstrained: a batch takes what is ready, however much that is, within our bounds.
            runtime.block_on(tokio::task::unconstrained(driver.run()))
        });
        let ending = std::panic::catch_unwind(run);
        driver.finish(Duration::from_secs(2));
        drop(server);
        runtime.shutdown_background();
        ending.map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            LiveError::Bug(text.unwrap_or_else(|| "a panic without words".to_owned()))
        })
    }
}

fn check(params: &Params, venues: usize) -> Result<(), LiveError> {
    let config = |text: String| Err(LiveError::Config(text));
    if venues != params.venue_names.len() || venues > usize::from(u8::MAX) {
        return config(format!(
            "{venues} venues with {} names; allowed are up to 255, one name each",
            params.venue_names.len()
        ));
    }
    if let Some(stray) = params.instrument_venues.iter().find(|v| v.index() >= venues) {
        return config(format!("an instrument is on venue {}, of {venues}", stray.0));
    }
    Ok(())
}

/// [`Live::new`] and [`Live::run`] for whoever needs no handle.
///
/// # Errors
/// As they do.
pub fn run(
    params: Params,
    engine: Engine,
    venues: Vec<Box<dyn Protocol>>,
    notes: NoteSink,
) -> Result<Ending, LiveError> {
    Live::new(params, engine, venues, notes)?.0.run()
}
