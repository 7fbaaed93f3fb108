//! What the key may do, before the first order: a key that can take money away is refused.
//!
//! Source: `GET /sapi/v1/account/apiRestrictions`, served by production beside the spot API and
//! nowhere else. A stolen key that may only trade loses at worst a spread; one that may withdraw
//! or transfer loses the account.

use serde::Deserialize;

use super::decode::json;
use super::encode::Call;
use super::sign::Query;
use super::{Ask, Product, Session, Timer, backoff};
use crate::domain::{Event, KeyCheck, RejectClass, Ts};
use crate::venues::{Outbox, Reply};

/// The restrictions of a key. What is not told counts as unknown, never as forbidden.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restrictions {
    ip_restrict: Option<bool>,
    enable_withdrawals: Option<bool>,
    enable_internal_transfer: Option<bool>,
    permits_universal_transfer: Option<bool>,
}

impl Session {
    /// Ask what the key may do, once the clock is known.
    pub(super) fn ask_permissions(&mut self, now: Ts, out: &mut Outbox) {
        if self.key_checked {
            return;
        }
        if self.params.product == Product::UsdM {
            let text = "USD-M futures have no endpoint that tells what a key may do; look at it \
                        in the API management of the account";
            return self.key_is(KeyCheck::Unverifiable, text, out);
        }
        match self.blocked(now) {
            Some(until) => {
                self.timers.insert(Timer::Permissions, until);
            }
            None => {
                self.send(Call::Permissions, Ask::Permissions, Query::new(), now, out);
            }
        }
    }

    pub(super) fn on_permissions_reply(
        &mut self,
        now: Ts,
        reply: &Reply,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        if reply.outcome.as_ref().is_ok_and(|http| http.status == 404) {
            let text = "this venue has no apiRestrictions, as test networks have none; on a \
                        production account look at the key in the API management";
            return self.key_is(KeyCheck::Unverifiable, text, out);
        }
        match body.and_then(json::<Restrictions>) {
            Ok(told) => self.judge_permissions(&told, out),
            Err(why) => {
                // Until the venue has said, nothing is quoted: the user link does not count as up.
                self.permission_failures += 1;
                self.garbled(format!("permissions of the key: {why}"), out);
                self.timers.insert(Timer::Permissions, now + backoff(self.permission_failures));
            }
        }
    }

    fn judge_permissions(&mut self, told: &Restrictions, out: &mut Outbox) {
        let rights = [
            ("withdrawals", told.enable_withdrawals),
            ("internal transfers", told.enable_internal_transfer),
            ("universal transfers", told.permits_universal_transfer),
        ];
        let granted: Vec<&str> =
            rights.iter().filter(|(_, may)| *may == Some(true)).map(|(name, _)| *name).collect();
        if !granted.is_empty() {
            let text = format!(
                "the key of {} may do more than trade: {} are enabled; a key that can move money \
                 out is refused: switch that off in the API management, or make a key that can \
                 only read and trade",
                self.params.name,
                granted.join(", ")
            );
            return self.fail(RejectClass::Auth, text, out);
        }
        if rights.iter().any(|(_, may)| may.is_none()) {
            let text = "the venue does not tell whether the key may withdraw or transfer";
            return self.key_is(KeyCheck::Unverifiable, text, out);
        }
        if told.ip_restrict == Some(true) {
            self.key_is(KeyCheck::Sound, "the key may trade from named addresses only", out);
        } else {
            let text = "the key works from any address: restrict it to this machine's in the API \
                        management";
            self.key_is(KeyCheck::NotIpRestricted, text, out);
        }
    }

    fn key_is(&mut self, check: KeyCheck, text: &str, out: &mut Outbox) {
        self.key_checked = true;
        let (venue, text) = (self.params.venue, text.to_owned());
        out.events.push(Event::KeyChecked { venue, check, text });
        self.settle_user(out);
    }
}
