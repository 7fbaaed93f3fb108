//! The simulated exchange that benches ask, with the account and markets of config/exchange.toml.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::{SystemTime, UNIX_EPOCH};

use evenkeel::domain::Ts;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::request::{Credential, HttpRequest};
use evenkeel::sim::faces::streams::Outbox;
use evenkeel::sim::faces::{LocalExchange, LocalParams};
use evenkeel::sim::toy;

/// The toy key of config/exchange.toml.
pub const KEY: &str = "toy-key-of-the-local-exchange";
/// Its secret.
pub const SECRET: &str = "toy-secret-of-the-local-exchange";

pub fn now() -> Ts {
    Ts(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap())
}

/// One request, answered.
pub fn ask(
    local: &mut LocalExchange,
    kind: VenueKind,
    method: &str,
    path: &str,
    query: &str,
    api_key: Option<&str>,
) -> (u16, String) {
    let request = HttpRequest { method, path, query, body: "", api_key, ip: 1 };
    let reply = local.http(now(), kind, &request, &mut Outbox::default());
    let answer = reply.answer.unwrap();
    (answer.status, answer.body)
}

/// Two markets that stand still until they are advanced.
pub fn params() -> LocalParams {
    let key = Credential { api_key: KEY.to_owned(), secret: SECRET.to_owned(), account: 0 };
    let mut params = toy::exchange(1, vec![key]);
    params.exchange.history = 1000;
    params
}
