//! The WebSocket API: requests as frames, and the user data stream on the same connection.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CALLS, Op, SpotFace, weight};
use crate::domain::Ts;
use crate::sim::faces::error::ApiError;
use crate::sim::faces::json::{array, object};
use crate::sim::faces::limits::Limits;
use crate::sim::faces::request::{Keyring, Params, check_timestamp};
use crate::sim::faces::streams::{ConnId, Outbox};
use crate::sim::faces::venue::{Access, Ctx};

#[derive(Debug)]
struct Session {
    ip: u64,
    /// Subscription id and account of each user data stream.
    subscriptions: BTreeMap<u32, u32>,
    next_subscription: u32,
    rate_limits: bool,
    connected: Ts,
}

/// The connections of the WebSocket API.
#[derive(Debug, Default)]
pub(in crate::sim::faces) struct Sessions {
    by_conn: BTreeMap<ConnId, Session>,
}

/// Most subscriptions in the life of one connection.
const MAX_SUBSCRIPTIONS: u32 = 65_535;

impl Sessions {
    pub(in crate::sim::faces) fn open(&mut self, conn: ConnId, ip: u64, query: &str, now: Ts) {
        let rate_limits = !query.split('&').any(|part| part == "returnRateLimits=false");
        let session = Session {
            ip,
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            rate_limits,
            connected: now,
        };
        self.by_conn.insert(conn, session);
    }

    pub(in crate::sim::faces) fn close(&mut self, conn: ConnId) -> bool {
        self.by_conn.remove(&conn).is_some()
    }

    pub(in crate::sim::faces) fn contains(&self, conn: ConnId) -> bool {
        self.by_conn.contains_key(&conn)
    }

    pub(in crate::sim::faces) fn connections(&self) -> Vec<ConnId> {
        self.by_conn.keys().copied().collect()
    }

    /// Whether anybody is subscribed to the account's events.
    pub(super) fn hears(&self, account: u32) -> bool {
        let mut sessions = self.by_conn.values();
        sessions.any(|session| session.subscriptions.values().any(|of| *of == account))
    }

    /// Sends an event to every subscription of the account.
    pub(super) fn tell(&self, account: u32, event: &str, out: &mut Outbox) {
        for (conn, session) in &self.by_conn {
            for (id, of) in &session.subscriptions {
                if *of == account {
                    out.send(*conn, format!("{{\"subscriptionId\":{id},\"event\":{event}}}"));
                }
            }
        }
    }
}

impl SpotFace {
    /// The answer to one frame of the WebSocket API; `None` on a connection that is gone.
    pub fn api_frame(
        &mut self,
        ctx: &mut Ctx<'_>,
        keyring: &Keyring,
        conn: ConnId,
        text: &str,
    ) -> Option<String> {
        let session = self.api.by_conn.get(&conn)?;
        let (ip, mut rate_limits) = (session.ip, session.rate_limits);
        let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let id = frame_id(&frame);
        let params = frame.get("params").cloned().unwrap_or(Value::Null);
        let params = Params::from_json(&params);
        if let Ok(Some(wanted)) = params.flag("returnRateLimits") {
            rate_limits = wanted;
        }
        let mut account = None;
        let result = match frame.get("method").and_then(Value::as_str) {
            Some(method) => {
                let method = method.strip_prefix("v3/").unwrap_or(method);
                self.api_call(ctx, keyring, conn, ip, method, &params, &mut account)
            }
            None => Err(ApiError::new(-1135, "Invalid JSON Request")),
        };
        let counted = self.api_limits(ctx.now, ip, account);
        let reply = object().raw("id", &id);
        let reply = match &result {
            Ok(result) => reply.int("status", 200).raw("result", result),
            Err(error) => reply.int("status", error.status).raw("error", &error.body()),
        };
        Some(if rate_limits { reply.raw("rateLimits", &counted).end() } else { reply.end() })
    }

    fn api_limits(&mut self, now: Ts, ip: u64, account: Option<u32>) -> String {
        let limits = &mut self.venue.limits;
        let mut rows = Vec::new();
        if let Some(account) = account {
            let counts = limits.order_counts(now, account);
            rows.extend(counts.iter().map(|(l, count)| Limits::row("ORDERS", l, Some(*count))));
        }
        let used = limits.used(now, ip);
        rows.push(Limits::row("REQUEST_WEIGHT", &limits.weight, Some(used)));
        array(rows)
    }

    #[allow(clippy::too_many_arguments, reason = "one private call site")]
    fn api_call(
        &mut self,
        ctx: &mut Ctx<'_>,
        keyring: &Keyring,
        conn: ConnId,
        ip: u64,
        method: &str,
        params: &Params,
        account: &mut Option<u32>,
    ) -> Result<String, ApiError> {
        if method.starts_with("session.") || method.starts_with("userDataStream.") {
            self.venue.limits.charge(ctx.now, ip, 2)?;
            return self.session_call(ctx.now, keyring, conn, method, params);
        }
        let Some(call) = CALLS.iter().find(|call| call.ws == method) else {
            return Err(unknown_method(method));
        };
        let weight = weight(call, params);
        self.venue.limits.charge(ctx.now, ip, weight)?;
        let signer =
            if call.access.signed() { Some(signer(keyring, params, ctx.now)?) } else { None };
        let result = self.run(ctx, call.op, signer.unwrap_or_default(), params);
        if result.is_ok() && call.access == Access::Trade {
            self.venue.limits.refund(ctx.now, ip, weight);
        }
        if matches!(call.op, Op::Place | Op::CancelReplace) {
            *account = signer;
        }
        result
    }

    fn session_call(
        &mut self,
        now: Ts,
        keyring: &Keyring,
        conn: ConnId,
        method: &str,
        params: &Params,
    ) -> Result<String, ApiError> {
        let account = match method {
            "userDataStream.subscribe.signature" => signer(keyring, params, now)?,
            _ => 0,
        };
        let session = self
            .api
            .by_conn
            .get_mut(&conn)
            .ok_or_else(|| ApiError::new(-1000, "The connection is closed."))?;
        match method {
            "userDataStream.subscribe.signature" => {
                if session.subscriptions.values().any(|of| *of == account) {
                    return Err(ApiError::new(
                        -2035,
                        "User Data Stream subscription already active.",
                    ));
                }
                let id = session.next_subscription;
                if id >= MAX_SUBSCRIPTIONS {
                    return Err(ApiError::new(-2042, "No more subscription ids."));
                }
                session.next_subscription += 1;
                session.subscriptions.insert(id, account);
                Ok(object().int("subscriptionId", id).end())
            }
            "userDataStream.unsubscribe" => {
                let none = || ApiError::new(-2036, "User Data Stream subscription not active.");
                match params.int("subscriptionId")? {
                    Some(id) => {
                        let id = u32::try_from(id).map_err(|_| none())?;
                        session.subscriptions.remove(&id).ok_or_else(none)?;
                    }
                    None => session.subscriptions.clear(),
                }
                Ok("{}".to_owned())
            }
            "session.subscriptions" => {
                let ids = session.subscriptions.keys();
                Ok(array(ids.map(|id| object().int("subscriptionId", *id).end())))
            }
            "session.status" | "session.logout" => Ok(object()
                .raw("apiKey", "null")
                .raw("authorizedSince", "null")
                .int("connectedSince", session.connected.ms())
                .flag("returnRateLimits", session.rate_limits)
                .int("serverTime", now.ms())
                .flag("userDataStream", false)
                .end()),
            // HMAC keys cannot log on, and no other kind of key exists here.
            "session.logon" => Err(ApiError::new(-4056, "HMAC_SHA256 API key is not supported.")),
            "userDataStream.subscribe" => Err(ApiError::new(
                -1000,
                "Log on first, or use userDataStream.subscribe.signature.",
            )),
            other => Err(unknown_method(other)),
        }
    }
}

/// The `id` of a frame as JSON; `null` when it has none.
fn frame_id(frame: &Value) -> String {
    match frame.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.to_string(),
        _ => "null".to_owned(),
    }
}

/// What a fault needs to know of a frame: whether it is signed, whether it changes orders.
pub(in crate::sim::faces) fn frame_kind(text: &str) -> (bool, bool) {
    let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let signed = frame.pointer("/params/signature").is_some();
    let method = frame.get("method").and_then(Value::as_str).unwrap_or_default();
    let call = CALLS.iter().find(|call| call.ws == method.strip_prefix("v3/").unwrap_or(method));
    let order = call.is_some_and(|call| call.access == Access::Trade || call.op == Op::Amend);
    (signed, order)
}

/// The refusal of a frame that was not carried out, or whose fate is not told.
pub(in crate::sim::faces) fn frame_refusal(text: &str, error: &ApiError) -> String {
    let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let reply = object().raw("id", &frame_id(&frame)).int("status", error.status);
    reply.raw("error", &error.body()).end()
}

fn unknown_method(method: &str) -> ApiError {
    ApiError::new(-1103, format!("Unknown method '{method}'."))
}

/// The account that signed the sorted parameters.
fn signer(keyring: &Keyring, params: &Params, now: Ts) -> Result<u32, ApiError> {
    keyring.account(params.text("apiKey"))?;
    check_timestamp(params, now)?;
    let signature = params.need("signature")?;
    keyring.verify(params.text("apiKey"), &[&params.sorted_payload()], signature)
}
