//! `panic`: cancel everything of ours, from a fresh process that needs only the keys.
//!
//! It is the ordinary engine, told to stop before it has begun: a stop reads every venue's
//! account, cancels whatever is ours by its prefix, of any earlier run, and ends when each venue
//! has said that nothing is left. It takes no lock and writes no state, so that a daemon that
//! hangs does not stand in its way.

use std::path::Path;

use super::{Exit, load_with_secrets, run, say};
use crate::config::{Loaded, Secrets, Settings};
use crate::domain::{Control, VenueId};
use crate::engine::{Ending, Engine, Mission};
use crate::live::{self, Handle, Live, LiveError};

/// Cancel all of our orders on every venue and verify that none is left.
pub(super) fn panic(path: &Path) -> Exit {
    match load_with_secrets(path) {
        Ok((loaded, secrets)) => cancel_all(&loaded, &secrets),
        Err(exit) => exit,
    }
}

fn cancel_all(loaded: &Loaded<Settings>, secrets: &Secrets) -> Exit {
    match withdraw(&loaded.settings, secrets) {
        Ok((ending, words)) => {
            if let Some(words) = words {
                say(&format!("{words}; positions are as they were\n"));
            }
            run::exit_of(&ending)
        }
        Err(error) => run::failed(&error),
    }
}

/// Cancels all of our orders on every venue: how that ended, and when it is verified, in words.
pub(super) fn withdraw(
    settings: &Settings,
    secrets: &Secrets,
) -> Result<(Ending, Option<String>), LiveError> {
    let (live, handle) = bare(settings, secrets, Mission::Trade)?;
    handle.send(Control::Stop).map_err(LiveError::Bug)?;
    let ending = live.run()?;
    let last = handle.snapshot().filter(|_| ending == Ending::FlatAndClean);
    let words = last.map(|last| {
        let venues: Vec<&str> =
            last.engine.venues.iter().map(|venue| venue.name.as_str()).collect();
        let cancels = last.engine.session.counts.cancels_sent;
        format!(
            "verified on {}: no order of ours is open ({cancels} cancels sent)",
            venues.join(", ")
        )
    });
    Ok((ending, words))
}

/// A driver with the protocols of the configuration and nothing else: no lock, journal, endpoints
/// or dead-man switch.
pub(super) fn bare(
    settings: &Settings,
    secrets: &Secrets,
    mission: Mission,
) -> Result<(Live, Handle), LiveError> {
    let mut settings = settings.clone();
    settings.shutdown.flatten = false;
    for venue in &mut settings.venues {
        // The running daemon's switch is its own; ours would cancel after we have gone.
        venue.dead_man_switch = None;
    }
    let mut engine = settings.engine_params(0, None);
    engine.mission = mission;
    let venue_of = |venue: usize| VenueId(u8::try_from(venue).expect("16 venues at most"));
    let venues_of = settings.instruments.iter().map(|own| venue_of(own.venue)).collect();
    let names = settings.venues.iter().map(|venue| venue.name.clone()).collect();
    let mut params = live::Params::new(venues_of, names);
    params.ca_files = settings.venues.iter().filter_map(|venue| venue.ca_file.clone()).collect();
    params.shutdown_deadline = settings.shutdown.deadline.to_std();
    params.signals = true;
    Live::new(params, Engine::new(engine), settings.protocols(secrets), Box::new(|_, _| {}))
}
