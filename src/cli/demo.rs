//! `demo`: local exchange, bot and dashboard in one process.

use super::{DemoArgs, Exit, complain};
use crate::config::{ExchangeSettings, Loaded, Settings};

/// The configurations of the demo, in the binary so that it needs no file.
const DAEMON: &str = include_str!("../../config/demo.toml");
const EXCHANGE: &str = include_str!("../../config/exchange.toml");

/// Start the exchange, trade against it over real sockets, report, end.
pub(super) fn demo(args: &DemoArgs) -> Exit {
    match settings(args) {
        Ok((daemon, exchange)) => complain(
            &format!(
                "{} with {} markets: no driver in this build",
                daemon.file,
                exchange.markets.len()
            ),
            Exit::Bug,
        ),
        Err(error) => complain(&error, Exit::Config),
    }
}

/// The two configurations with the arguments applied; both ports are the system's choice.
fn settings(
    args: &DemoArgs,
) -> Result<(Loaded<Settings>, ExchangeSettings), crate::config::ConfigError> {
    let daemon = crate::config::parse(DAEMON, "config/demo.toml")?;
    let mut exchange = crate::config::parse_exchange(EXCHANGE, "config/exchange.toml")?.settings;
    exchange.seed = args.seed;
    exchange.speed = args.speed;
    exchange.faults.clear();
    for address in [&mut exchange.spot_listen, &mut exchange.usdm_listen].into_iter().flatten() {
        address.set_port(0);
    }
    Ok((daemon, exchange))
}
