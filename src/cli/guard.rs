//! `guard`: a second process that notices a daemon that is dead or stands still, and cancels what
//! it left.
//!
//! Binance USD-M has a dead-man switch of its own; Binance Spot has none, and a quote that nobody
//! watches is a free option for everybody else. The guard asks the daemon's `/healthz` (200 only
//! while the trading loop turns) once a second. After `--patience` without a good answer it does
//! what `panic` does, cancels everything of ours on every venue, verified, and tries again until
//! that has succeeded; then it waits for the daemon to come back. It shares nothing with the
//! daemon but the configuration, the keys and the file that says where the daemon answers; it
//! takes no lock, and a daemon that ended in order has left nothing for it to cancel.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, GuardArgs, complain, load_with_secrets, panic, run};
use crate::config::{Secrets, Settings};
use crate::engine::Ending;
use crate::live::{clock, state_dir};

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(1);

/// What to do after an answer, or the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Watch,
    /// The daemon answers again, or for the first time.
    Greet,
    Withdraw,
}

/// What the guard knows of the daemon.
#[derive(Debug)]
struct Watch {
    patience: Duration,
    /// When it last answered; the guard's own beginning until then.
    heard: Instant,
    known: bool,
    withdrawn: bool,
}

impl Watch {
    fn new(now: Instant, patience: Duration) -> Watch {
        Watch { patience, heard: now, known: false, withdrawn: false }
    }

    fn asked(&mut self, now: Instant, alive: bool) -> Duty {
        if alive {
            let news = !self.known || self.withdrawn;
            (self.heard, self.known, self.withdrawn) = (now, true, false);
            return if news { Duty::Greet } else { Duty::Watch };
        }
        let patient = now.duration_since(self.heard) < self.patience;
        if patient || self.withdrawn { Duty::Watch } else { Duty::Withdraw }
    }
}

/// Watch until told to stop.
pub(super) fn guard(args: &GuardArgs) -> Exit {
    let (loaded, secrets) = match load_with_secrets(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    // The log file is the daemon's; two writers would put it aside under each other.
    if let Err(text) = run::init_log(&loaded.settings.log, None) {
        return complain(&text, Exit::Bug);
    }
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let settings = &loaded.settings;
    if args.patience < INTERVAL {
        let text = format!("--patience must be {} s or longer", INTERVAL.as_secs());
        return complain(&text, Exit::Config);
    }
    let mut told = match Told::listen(&runtime) {
        Ok(told) => told,
        Err(error) => return complain(&format!("cannot listen for signals: {error}"), Exit::Bug),
    };
    let mut watch = Watch::new(clock::instant(), args.patience);
    let patience_ms = u64::try_from(args.patience.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(event = "guard_started", patience_ms, "watching the daemon");
    loop {
        match runtime.block_on(ask(settings, &mut told)) {
            None => {
                let text = if watch.withdrawn { "orders were cancelled" } else { "the watch ends" };
                tracing::info!(event = "guard_stopped", "told to stop; {text}");
                return Exit::Clean;
            }
            Some(alive) => match watch.asked(clock::instant(), alive) {
                Duty::Watch => {}
                Duty::Greet => tracing::info!(event = "guard_hears", "the daemon answers"),
                Duty::Withdraw => watch.withdrawn = withdraw(settings, &secrets, patience_ms),
            },
        }
    }
}

/// The word to stop, whenever it comes: one that arrives while orders are being cancelled counts
/// as soon as that is done.
struct Told {
    interrupt: Signal,
    terminate: Signal,
}

impl Told {
    fn listen(runtime: &tokio::runtime::Runtime) -> std::io::Result<Told> {
        let _inside = runtime.enter();
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Told { interrupt: interrupt?, terminate: terminate? })
    }
}

/// Waits for the next question, asks it, and says whether the daemon is well; `None` when the
/// guard itself is told to stop.
async fn ask(settings: &Settings, told: &mut Told) -> Option<bool> {
    let question = async {
        tokio::time::sleep(INTERVAL).await;
        let published = state_dir::read_address(&settings.environment.state_dir).ok().flatten();
        match published {
            Some(address) => is_well(address).await,
            None => false,
        }
    };
    tokio::select! {
        biased;
        _ = told.interrupt.recv() => None,
        _ = told.terminate.recv() => None,
        well = question => Some(well),
    }
}

async fn is_well(address: SocketAddr) -> bool {
    let client = reqwest::Client::builder().no_proxy().timeout(INTERVAL);
    let Ok(tls) = crate::live::reach::client_config(&[]) else { return false };
    let Ok(client) = client.tls_backend_preconfigured((*tls).clone()).build() else {
        return false;
    };
    let reply = client.get(format!("http://{address}/healthz")).send().await;
    reply.is_ok_and(|reply| reply.status().is_success())
}

/// Cancels everything of ours; whether that is verified.
fn withdraw(settings: &Settings, secrets: &Secrets, patience_ms: u64) -> bool {
    tracing::error!(
        event = "guard_acts",
        patience_ms,
        "the daemon has not answered for {patience_ms} ms: cancelling all of our orders"
    );
    match panic::withdraw(settings, secrets) {
        Ok((Ending::FlatAndClean, words)) => {
            let words = words.unwrap_or_default();
            tracing::warn!(event = "guard_cancelled", "{words}");
            true
        }
        Ok((ending, _)) => {
            tracing::error!(event = "guard_failed", "not verified, trying again: {ending:?}");
            false
        }
        Err(error) => {
            tracing::error!(event = "guard_failed", "not possible, trying again: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_acts_once_an_outage_and_again_until_it_has_succeeded() {
        let start = clock::instant();
        let at = |s| start + Duration::from_secs(s);
        let mut watch = Watch::new(start, Duration::from_secs(5));
        assert_eq!(watch.asked(at(1), true), Duty::Greet);
        assert_eq!(watch.asked(at(2), true), Duty::Watch);
        assert_eq!(watch.asked(at(6), false), Duty::Watch, "four seconds are within patience");
        assert_eq!(watch.asked(at(7), false), Duty::Withdraw);
        assert_eq!(watch.asked(at(8), false), Duty::Withdraw, "the first time failed");
        watch.withdrawn = true;
        assert_eq!(watch.asked(at(9), false), Duty::Watch);
        assert_eq!(watch.asked(at(10), true), Duty::Greet);
        assert_eq!(watch.asked(at(15), false), Duty::Withdraw, "the next outage");
    }

    #[test]
    fn a_daemon_that_never_answers_is_one_that_is_dead() {
        let start = clock::instant();
        let mut watch = Watch::new(start, Duration::from_secs(5));
        assert_eq!(watch.asked(start + Duration::from_secs(5), false), Duty::Withdraw);
    }
}
