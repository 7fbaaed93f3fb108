//! Requests as bytes: parameters from query and body, signatures over exactly what was received,
//! and the rule about timestamps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::ApiError;
use crate::domain::{Money, Ts};

/// An HTTP request as received, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// The path without the query.
    pub path: &'a str,
    /// The query without its question mark, undecoded.
    pub query: &'a str,
    /// The body, undecoded.
    pub body: &'a str,
    /// The header `X-MBX-APIKEY`.
    pub api_key: Option<&'a str>,
    /// Where it came from, for the weight limit.
    pub ip: u64,
}

/// An HTTP reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: String,
}

/// Who may sign: key, secret and the account behind them.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What is sent in `X-MBX-APIKEY`.
    pub api_key: String,
    /// What signs.
    pub secret: String,
    /// The account, as the exchange numbers them.
    pub account: u32,
}

/// Checks signatures.
#[derive(Debug)]
pub struct Keyring {
    keys: BTreeMap<String, (Hmac<Sha256>, u32)>,
}

impl Keyring {
    /// The keys of all accounts.
    #[must_use]
    pub fn new(credentials: &[Credential]) -> Keyring {
        let keys = credentials
            .iter()
            .map(|c| {
                let mac = Hmac::<Sha256>::new_from_slice(c.secret.as_bytes())
                    .expect("HMAC takes keys of any length");
                (c.api_key.clone(), (mac, c.account))
            })
            .collect();
        Keyring { keys }
    }

    /// The account of a key without a signature (listen keys).
    pub fn account(&self, api_key: Option<&str>) -> Result<u32, ApiError> {
        self.entry(api_key).map(|(_, account)| *account)
    }

    fn entry(&self, api_key: Option<&str>) -> Result<&(Hmac<Sha256>, u32), ApiError> {
        let key = api_key.filter(|key| !key.is_empty()).ok_or_else(ApiError::bad_key_format)?;
        self.keys.get(key).ok_or_else(ApiError::unknown_key)
    }

    /// The account that signed these bytes; hex in either case.
    pub fn verify(
        &self,
        api_key: Option<&str>,
        payload: &[&str],
        signature: &str,
    ) -> Result<u32, ApiError> {
        let (mac, account) = self.entry(api_key)?;
        let mut expected = [0_u8; 32];
        hex::decode_to_slice(signature, &mut expected).map_err(|_| ApiError::bad_signature())?;
        let mut mac = mac.clone();
        for part in payload {
            mac.update(part.as_bytes());
        }
        mac.verify_slice(&expected).map_err(|_| ApiError::bad_signature())?;
        Ok(*account)
    }
}

/// Parameters by name; of two with one name the first, and the query comes before the body.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text, also when it was never encoded.
    #[must_use]
    pub fn parse(query: &str, body: &str) -> Params {
        let mut pairs = Vec::with_capacity(12);
        for part in query.split('&').chain(body.split('&')).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name), decode(value)));
        }
        Params { pairs }
    }

    /// Parameters that came as JSON: strings as they are, numbers and booleans as written.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Params {
        let scalar = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let pairs = value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), scalar(value)))
            .collect();
        Params { pairs }
    }

    /// A parameter, if it was sent and is not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::mandatory(name))
    }

    /// A whole number, if sent.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::illegal_characters(name, "^[0-9]{1,20}$")),
        }
    }

    /// A non-negative decimal, if sent; at most `precision` decimals.
    pub fn decimal(&self, name: &str, precision: u32) -> Result<Option<Money>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let plain = text.len() <= 40 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let value: Option<Money> = plain.then(|| text.parse().ok()).flatten();
        let value = value.ok_or_else(|| {
            ApiError::illegal_characters(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
        })?;
        if value.normalize().scale() > precision {
            return Err(ApiError::new(
                -1111,
                format!("Parameter '{name}' has too much precision."),
            ));
        }
        Ok(Some(value))
    }

    /// `true` or `false`, if sent.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid_value(name)),
        }
    }

    /// All parameters but the signature, sorted by name, as the WebSocket API signs them.
    #[must_use]
    pub fn sorted_payload(&self) -> String {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(name, _)| name != "signature").collect();
        pairs.sort();
        let parts: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        parts.join("&")
    }
}

fn decode(text: &str) -> String {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return text.to_owned();
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The text with its `signature=…` taken out, and that signature.
fn without_signature(text: &str) -> (Cow<'_, str>, Option<&str>) {
    // Nearly everybody sends it last, and then nothing needs to be put together.
    if let Some((rest, value)) = text.rsplit_once("&signature=")
        && !value.contains('&')
    {
        return (Cow::Borrowed(rest), Some(value));
    }
    if !text.contains("signature=") {
        return (Cow::Borrowed(text), None);
    }
    let mut rest = Vec::new();
    let mut signature = None;
    for part in text.split('&') {
        match part.strip_prefix("signature=") {
            Some(value) => signature = Some(value),
            None => rest.push(part),
        }
    }
    (Cow::Owned(rest.join("&")), signature)
}

/// The account that signed this request, over the raw bytes of query and body, put together
/// without a separator.
pub fn signed_account(
    keyring: &Keyring,
    request: &HttpRequest<'_>,
    params: &Params,
    now: Ts,
) -> Result<u32, ApiError> {
    keyring.account(request.api_key)?;
    check_timestamp(params, now)?;
    let (query, in_query) = without_signature(request.query);
    let (body, in_body) = without_signature(request.body);
    let signature = in_query
        .or(in_body)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ApiError::mandatory("signature"))?;
    keyring.verify(request.api_key, &[&query, &body], signature)
}

/// Refuses requests from the future (a second or more) and from before the receive window.
pub fn check_timestamp(params: &Params, now: Ts) -> Result<(), ApiError> {
    let sent = params.int("timestamp")?.ok_or_else(|| ApiError::mandatory("timestamp"))?;
    // Sixteen digits are microseconds, which spot documents and futures never receive.
    let sent_us = if sent > 100_000_000_000_000 { sent } else { sent.saturating_mul(1000) };
    let window = params.decimal("recvWindow", 3)?.unwrap_or_else(|| Money::from(5000));
    if window > Money::from(60_000) {
        return Err(ApiError::new(-1131, "recvWindow must be less than 60000."));
    }
    let now_us = now.0.div_euclid(1000);
    if sent_us >= now_us + 1_000_000 {
        let msg = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err(ApiError::new(-1021, msg));
    }
    if Money::from(now_us - sent_us) > window * Money::from(1000) {
        let msg = "Timestamp for this request is outside of the recvWindow.";
        return Err(ApiError::new(-1021, msg));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const NOW: Ts = Ts(1_499_827_319_559_000_000);

    fn keyring() -> Keyring {
        let (api_key, secret) = (KEY.to_owned(), SECRET.to_owned());
        Keyring::new(&[Credential { api_key, secret, account: 7 }])
    }

    fn ask(query: &str, body: &str, now: Ts) -> Result<u32, ApiError> {
        let request = HttpRequest {
            method: "POST",
            path: "/api/v3/order",
            query,
            body,
            api_key: Some(KEY),
            ip: 0,
        };
        signed_account(&keyring(), &request, &Params::parse(query, body), now)
    }

    #[test]
    fn documented_signatures_verify_in_query_body_and_both() {
        let all = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
                   &recvWindow=5000&timestamp=1499827319559&signature=\
                   c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(ask(all, "", NOW), Ok(7));
        assert_eq!(ask("", all, NOW), Ok(7));
        assert_eq!(ask(&all.replace("c8db", "C8DB"), "", NOW), Ok(7));
        let (rest, signature) = all.split_once("&signature=").unwrap();
        assert_eq!(ask(&format!("signature={signature}&{rest}"), "", NOW), Ok(7), "sent first");
        let body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559&signature=\
                    0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77";
        assert_eq!(ask("symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC", body, NOW), Ok(7));
        assert_eq!(ask(&all.replace("0.1", "0.2"), "", NOW), Err(ApiError::bad_signature()));
    }

    #[test]
    fn text_is_verified_encoded_and_read_decoded() {
        let query = "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY\
                     &type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                     &timestamp=1499827319559&signature=\
                     e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3";
        assert_eq!(ask(query, "", NOW), Ok(7));
        assert_eq!(Params::parse(query, "").text("symbol"), Some("１２３４５６"));
    }

    #[test]
    fn websocket_payload_is_sorted_and_raw() {
        let value = serde_json::json!({
            "symbol": "１２３４５６", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "1.00000000", "price": "0.10000000", "recvWindow": 5000,
            "timestamp": 1_645_423_376_532_i64, "apiKey": KEY, "signature": "x"
        });
        let payload = Params::from_json(&value).sorted_payload();
        let signature = "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd";
        assert_eq!(keyring().verify(Some(KEY), &[&payload], signature), Ok(7));
    }

    #[test]
    fn the_timestamp_rule_holds_at_its_edges() {
        let at = |ms: i64| {
            check_timestamp(&Params::parse("timestamp=1499827319559&recvWindow=5000", ""), {
                Ts::from_ms(1_499_827_319_559 + ms)
            })
            .map_err(|error| error.code)
        };
        assert_eq!(at(0), Ok(()));
        assert_eq!(at(5000), Ok(()));
        assert_eq!(at(5001), Err(-1021));
        assert_eq!(at(-999), Ok(()));
        assert_eq!(at(-1000), Err(-1021));
        assert_eq!(check_timestamp(&Params::parse("", ""), NOW).unwrap_err().code, -1102);
    }

    #[test]
    fn decimals_are_checked_for_characters_and_precision() {
        let params = Params::parse("a=1.50000000&b=1e5&c=1.123456789&d=-1&e=NaN", "");
        assert_eq!(params.decimal("a", 8), Ok(Some("1.5".parse().unwrap())));
        for (name, code) in [("b", -1100), ("c", -1111), ("d", -1100), ("e", -1100)] {
            assert_eq!(params.decimal(name, 8).unwrap_err().code, code, "{name}");
        }
    }
}
