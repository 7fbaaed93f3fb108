//! What the venue's codes and statuses mean for what we do next.

use super::Product;
use super::wire::ApiError;
use crate::domain::{RejectClass, Span, planted};
use crate::venues::{HttpReply, NoReply, Reply};

/// The block after a 429 that names no time: the weight window is a minute.
const BLOCK_429: Span = Span::from_s(60);
/// The shortest ban the venue documents.
const BLOCK_418: Span = Span::from_s(120);
/// The window of the order count limit that a maker meets.
const BLOCK_ORDERS: Span = Span::from_s(10);

/// What a reply says about the fate of its request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate<'a> {
    /// Done; the body tells what.
    Done(&'a str),
    /// Certain: nothing was done.
    Refused(Refusal),
    /// It may have been done.
    Unknown(String),
}

/// A certain refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) class: RejectClass,
    /// The venue's code; zero where there is none.
    pub(super) code: i64,
    pub(super) text: String,
    /// What may not be sent for how long.
    pub(super) block: Option<Block>,
}

/// A pause that the venue demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// No request at all.
    All(Span),
    /// No new order (order count limit); cancels pass.
    Orders(Span),
    /// No request until that Unix millisecond of the venue.
    Until(i64),
}

/// The order or thing asked about is not there (any more).
pub(super) fn is_gone(code: i64) -> bool {
    matches!(code, -2011 | -2013)
}

/// Read status and body of a reply.
pub(super) fn fate(product: Product, reply: &Reply) -> Fate<'_> {
    let http = match &reply.outcome {
        Ok(http) => http,
        Err(NoReply::NotSent(why)) => {
            return Fate::Refused(Refusal {
                class: RejectClass::Unavailable,
                code: 0,
                text: format!("not sent: {why}"),
                block: None,
            });
        }
        Err(NoReply::Lost(why)) if planted("lost_is_a_refusal") => {
            return Fate::Refused(Refusal {
                class: RejectClass::Unavailable,
                code: 0,
                text: why.clone(),
                block: None,
            });
        }
        Err(NoReply::Lost(why)) => return Fate::Unknown(format!("no reply: {why}")),
    };
    // Error bodies are short; a large body is an answer and not worth scanning twice.
    let short = http.body.len() < 2048;
    let error: Option<ApiError> = short.then(|| serde_json::from_str(&http.body).ok()).flatten();
    match http.status {
        200..=299 => match error {
            Some(ApiError { code: Some(code), msg }) if code < 0 => {
                Fate::Unknown(format!("status {} with error {code} {msg}", http.status))
            }
            _ => Fate::Done(&http.body),
        },
        418 | 429 => Fate::Refused(throttled(http, &error.unwrap_or_default())),
        _ => match error {
            Some(error) => judge(product, http.status, &error),
            None => Fate::Unknown(format!("status {}: {}", http.status, excerpt(&http.body))),
        },
    }
}

fn throttled(http: &HttpReply, error: &ApiError) -> Refusal {
    let code = error.code.unwrap_or(0);
    let told = http.retry_after_s.map(|s| Span::from_s(i64::from(s)));
    let block = match (http.status, code) {
        (429, -1015) => Block::Orders(told.unwrap_or(BLOCK_ORDERS)),
        (418, _) => match (told, banned_until(&error.msg)) {
            (Some(span), _) => Block::All(span),
            (None, Some(ms)) => Block::Until(ms),
            (None, None) => Block::All(BLOCK_418),
        },
        _ => Block::All(told.unwrap_or(BLOCK_429)),
    };
    Refusal {
        class: RejectClass::Throttled,
        code,
        text: words(http.status, code, &error.msg),
        block: (!planted("retry_after_ignored")).then_some(block),
    }
}

/// "…IP banned until 1659146400000. …"
fn banned_until(msg: &str) -> Option<i64> {
    let digits = msg.split("banned until ").nth(1)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// What an error that the venue words means.
pub(super) fn judge(product: Product, status: u16, error: &ApiError) -> Fate<'static> {
    let code = error.code.unwrap_or(0);
    let text = words(status, code, &error.msg);
    let refused = |class| Fate::Refused(Refusal { class, code, text: text.clone(), block: None });
    // Overload protection turns requests away before the engine sees them, on both venues.
    if code == -1008 {
        return refused(RejectClass::Unavailable);
    }
    if (status == 408 || matches!(code, -1006 | -1007)) && !planted("503_is_a_refusal") {
        return Fate::Unknown(text);
    }
    if status >= 500 || !(400..500).contains(&status) {
        // USD-M tells three kinds of 503 apart by their words; spot calls every 5xx unknown.
        let certain = product == Product::UsdM
            && status == 503
            && (error.msg.starts_with("Service Unavailable")
                || error.msg.starts_with("Internal error; unable to process"));
        let certain = certain || planted("503_is_a_refusal");
        return if certain { refused(RejectClass::Unavailable) } else { Fate::Unknown(text) };
    }
    if code >= 0 || matches!(code, -1000 | -1001) {
        return Fate::Unknown(text);
    }
    refused(classify(product, code, &error.msg))
}

fn words(status: u16, code: i64, msg: &str) -> String {
    if code == 0 {
        format!("status {status}: {}", excerpt(msg))
    } else {
        format!("{code} {}", excerpt(msg))
    }
}

pub(super) use crate::venues::excerpt::excerpt;

/// The class of a certain refusal by its code, and by its words where one code means many things.
pub(super) fn classify(product: Product, code: i64, msg: &str) -> RejectClass {
    match code {
        -1003 | -1015 | -1034 => RejectClass::Throttled,
        -1013 if msg.contains("Market is closed") => RejectClass::Closed,
        -1013 | -1111 => RejectClass::Filter,
        -1016 => RejectClass::Closed,
        -1021 => RejectClass::Clock,
        -1002 | -1022 | -2014 | -2015 => RejectClass::Auth,
        -2010 => new_order_rejected(msg),
        _ => match product {
            Product::Spot => RejectClass::Other,
            Product::UsdM => classify_usdm(code),
        },
    }
}

/// Spot answers -2010 for every refusal of the matching engine.
fn new_order_rejected(msg: &str) -> RejectClass {
    const WORDS: [(&str, RejectClass); 7] = [
        ("immediately match and take", RejectClass::WouldTake),
        ("insufficient balance", RejectClass::InsufficientFunds),
        ("Duplicate order", RejectClass::DuplicateId),
        ("Market is closed", RejectClass::Closed),
        ("not permitted for this account", RejectClass::Auth),
        ("may not place or cancel orders", RejectClass::Auth),
        ("Filter failure", RejectClass::Filter),
    ];
    WORDS
        .iter()
        .find(|(part, _)| msg.contains(part))
        .map_or(RejectClass::Other, |&(_, class)| class)
}

fn classify_usdm(code: i64) -> RejectClass {
    match code {
        -5022 => RejectClass::WouldTake,
        -2018 | -2019 | -2024 | -2027 | -2028 => RejectClass::InsufficientFunds,
        -4005..=-4001 | -4014..=-4013 | -4016 | -4023 | -4024 | -4131 | -4164 | -5029 | -2025 => {
            RejectClass::Filter
        }
        -4116 => RejectClass::DuplicateId,
        -2022 | -4118 => RejectClass::ReduceOnly,
        -5028 => RejectClass::Clock,
        // The position side does not match the account's mode; only the operator can mend that.
        -4061 => RejectClass::Auth,
        -4107..=-4105 | -4140 | -4189 | -4192 | -4400 | -4401 => RejectClass::Closed,
        _ => RejectClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Ts;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            outcome: Ok(HttpReply { status, body: body.to_owned(), ..HttpReply::default() }),
            sent_at: Ts(0),
        }
    }

    fn class(product: Product, status: u16, body: &str) -> Option<RejectClass> {
        match fate(product, &reply(status, body)) {
            Fate::Refused(refusal) => Some(refusal.class),
            Fate::Unknown(_) => None,
            Fate::Done(_) => panic!("done: {status} {body}"),
        }
    }

    #[test]
    fn only_certain_failures_are_refusals() {
        use Product::{Spot, UsdM};
        let unavailable = Some(RejectClass::Unavailable);
        let internal = r#"{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}"#;
        let cases = [
            (UsdM, 503, r#"{"msg":"Service Unavailable."}"#, unavailable),
            (UsdM, 503, internal, unavailable),
            (Spot, 503, internal, None),
            (Spot, 400, internal, None),
            (
                UsdM,
                503,
                r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#,
                None,
            ),
            (
                UsdM,
                503,
                r#"{"code":-1008,"msg":"Request throttled by system-level protection."}"#,
                unavailable,
            ),
            (UsdM, 408, r#"{"code":-1007,"msg":"Timeout"}"#, None),
            (
                Spot,
                400,
                r#"{"code":-1006,"msg":"An unexpected response was received. Execution status unknown."}"#,
                None,
            ),
            (Spot, 502, "<html>bad gateway</html>", None),
            (Spot, 400, "<html>", None),
            (Spot, 403, "<html>WAF</html>", None),
            (Spot, 400, r#"{"code":-10"#, None),
            (Spot, 302, r#"{"code":-1013,"msg":"x"}"#, None),
        ];
        for (product, status, body, want) in cases {
            assert_eq!(class(product, status, body), want, "{status} {body}");
        }
    }

    #[test]
    fn bans_say_how_long() {
        let body = r#"{"code":-1003,"msg":"Way too much request weight used; IP banned until 1659146400000. Please"}"#;
        let Fate::Refused(refusal) = fate(Product::Spot, &reply(418, body)).into_owned() else {
            panic!()
        };
        assert_eq!(refusal.block, Some(Block::Until(1_659_146_400_000)));
        let orders = r#"{"code":-1015,"msg":"Too many new orders"}"#;
        let Fate::Refused(refusal) = fate(Product::Spot, &reply(429, orders)).into_owned() else {
            panic!()
        };
        assert_eq!(refusal.block, Some(Block::Orders(BLOCK_ORDERS)));
    }

    impl Fate<'_> {
        fn into_owned(self) -> Fate<'static> {
            match self {
                Fate::Done(_) => Fate::Done(""),
                Fate::Refused(refusal) => Fate::Refused(refusal),
                Fate::Unknown(text) => Fate::Unknown(text),
            }
        }
    }
}
