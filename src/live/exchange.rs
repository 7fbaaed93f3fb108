//! The local exchange over real loopback sockets: one thread owns the matching engine and its
//! wire sides, and serves HTTP and WebSockets on 127.0.0.1 only.

#![allow(clippy::disallowed_methods, reason = "the exchange's clock is read here")]

mod recording;
mod server;
mod socket;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;

pub use recording::{Recording, RecordingError, identify, read_lines};

use crate::sim::faces::{KeyRights, LocalParams, faults::FaultRule};

/// How the local exchange is served.
#[derive(Debug)]
pub struct ExchangeParams {
    /// Port of the spot venue on 127.0.0.1; 0 for any free one.
    pub spot_port: u16,
    /// Port of the USD-M venue on 127.0.0.1; 0 for any free one.
    pub usdm_port: u16,
    /// How often the market moves on, ms; 1 to 1000.
    pub step_ms: u64,
    /// Markets, accounts, keys and faults.
    pub local: LocalParams,
}

/// Why the exchange could not start.
#[derive(Debug)]
pub enum StartError {
    /// A port could not be bound.
    Bind {
        /// The port asked for.
        port: u16,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The parameters contradict each other.
    Params(String),
    /// The thread or its runtime could not be made.
    Thread(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Bind { port, source } => {
                write!(f, "cannot listen on 127.0.0.1:{port}: {source} (port 0 takes any free one)")
            }
            StartError::Params(problem) => write!(f, "exchange settings: {problem}"),
            StartError::Thread(problem) => write!(f, "cannot run the exchange: {problem}"),
        }
    }
}

impl std::error::Error for StartError {}

/// The running exchange.
#[derive(Debug)]
pub struct ExchangeHandle {
    spot: SocketAddr,
    usdm: SocketAddr,
    shared: server::Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ExchangeHandle {
    /// Base of the spot REST API, such as `http://127.0.0.1:4711`.
    #[must_use]
    pub fn spot_rest(&self) -> String {
        format!("http://{}", self.spot)
    }

    /// Base of the spot market streams; `/ws` and `/stream` follow.
    #[must_use]
    pub fn spot_ws(&self) -> String {
        format!("ws://{}", self.spot)
    }

    /// The spot WebSocket API, complete.
    #[must_use]
    pub fn spot_ws_api(&self) -> String {
        format!("ws://{}/ws-api/v3", self.spot)
    }

    /// Base of the USD-M REST API.
    #[must_use]
    pub fn usdm_rest(&self) -> String {
        format!("http://{}", self.usdm)
    }

    /// Base of the USD-M streams; `/public`, `/market` and `/private` follow.
    #[must_use]
    pub fn usdm_ws(&self) -> String {
        format!("ws://{}", self.usdm)
    }

    /// What `apiRestrictions` says of an account's keys from now on; without a word of this it is
    /// served as the parameters say.
    pub fn permit(&self, account: u32, rights: &KeyRights) {
        self.shared.with(|local, _, _| local.permit(account, rights));
    }

    /// Adds a fault, counted from now.
    pub fn add_fault(&self, rule: FaultRule) {
        self.shared.add_fault(rule);
    }

    /// Accounts, open orders, positions and counters as one JSON document.
    #[must_use]
    pub fn state(&self) -> String {
        self.shared.state()
    }

    /// Whether a recording that plays here has come to its end.
    #[must_use]
    pub fn recording_is_over(&self) -> bool {
        self.shared.with(|local, _, _| local.recording_is_over())
    }

    /// What recordings contained so far that could not be used, in words, by symbol.
    #[must_use]
    pub fn recording_faults(&self) -> Vec<String> {
        self.shared.with(|local, _, _| local.recording_faults())
    }

    /// Cuts every connection and ends the thread.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // A closed channel means that the thread has ended by itself.
        if let Some(stop) = self.stop.take() {
            drop(stop);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(event = "exchange_thread_panicked", "the exchange thread panicked");
        }
    }
}

impl Drop for ExchangeHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the local exchange.
#[derive(Debug)]
pub struct ExchangeServer;

impl ExchangeServer {
    /// Binds both ports, starts the market and returns when requests are served.
    pub async fn start(params: ExchangeParams) -> Result<ExchangeHandle, StartError> {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("exchange".to_owned())
            .spawn(move || run(params, ready, stopped))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let ended = |_| StartError::Thread("it ended before it listened".to_owned());
        let (spot, usdm, shared) = started.await.map_err(ended)??;
        Ok(ExchangeHandle { spot, usdm, shared, stop: Some(stop), thread: Some(thread) })
    }
}

type Started = Result<(SocketAddr, SocketAddr, server::Shared), StartError>;

fn run(params: ExchangeParams, ready: oneshot::Sender<Started>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // The starter may have given up waiting; then nobody is left to tell.
            drop(ready.send(Err(StartError::Thread(error.to_string()))));
            return;
        }
    };
    runtime.block_on(async move {
        let serving = server::bind(params).await;
        match serving {
            Ok((addresses, shared, serve)) => {
                if ready.send(Ok((addresses.0, addresses.1, shared))).is_ok() {
                    // Both a message and a dropped sender mean: stop.
                    tokio::select! {
                        () = serve => {}
                        _ = stopped => {}
                    }
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
}
