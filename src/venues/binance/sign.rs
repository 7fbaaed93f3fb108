//! HMAC-SHA256 signatures of requests (Binance "Request Security": signature over the bytes sent).

use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Everything but RFC 3986 unreserved characters is escaped, as UTF-8, in upper-case hex.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A byte that [`ESCAPED`] leaves as it is: almost every value consists of these.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The API key and its secret.
#[derive(Clone)]
pub struct Credentials {
    /// Sent with every private request.
    pub key: SecretString,
    /// Never sent; signs.
    pub secret: SecretString,
}

impl fmt::Debug for Credentials {
    /// Shows nothing of either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// A query string under construction: values are percent-encoded before they can be signed.
#[derive(Clone, Default)]
pub struct Query(String);

impl Query {
    /// No parameters yet.
    #[must_use]
    pub fn new() -> Query {
        Query(String::with_capacity(384))
    }

    /// Append one parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Query {
        self.push(name, &value);
        self
    }

    /// Append one parameter.
    pub fn push(&mut self, name: &str, value: &dyn fmt::Display) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        let start = self.0.len();
        write!(self.0, "{value}").expect("a string takes every write");
        if !self.0[start..].bytes().all(is_unreserved) {
            let raw = self.0.split_off(start);
            self.0.extend(utf8_percent_encode(&raw, ESCAPED));
        }
    }

    /// A value as it stands in a URL.
    #[must_use]
    pub fn encoded(value: &str) -> String {
        utf8_percent_encode(value, ESCAPED).to_string()
    }

    /// The encoded parameters, without a leading question mark.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Signs with one secret.
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha256>,
}

impl Signer {
    /// A signer of that secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Signer {
        let keyed = Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .expect("HMAC takes a key of any length");
        Signer { keyed }
    }

    /// Lower-case hex HMAC-SHA256 of a payload.
    #[must_use]
    pub fn sign(&self, payload: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(payload.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// The query with receive window, timestamp (venue time, Unix ms) and, last, the signature.
    #[must_use]
    pub fn signed(&self, query: Query, recv_window_ms: u32, timestamp_ms: i64) -> Query {
        let query = query.with("recvWindow", recv_window_ms).with("timestamp", timestamp_ms);
        let signature = self.sign(query.as_str());
        query.with("signature", signature)
    }

    /// The signature of a WS API request: parameters sorted by name, raw UTF-8, not encoded.
    #[must_use]
    pub fn sign_ws(&self, parameters: &[(&str, &str)]) -> String {
        let mut sorted = parameters.to_vec();
        sorted.sort_unstable();
        let pairs: Vec<String> =
            sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.sign(&pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";

    #[test]
    fn a_rest_query_is_encoded_before_it_is_signed() {
        // Binance spot rest-api.md, "SIGNED Endpoint Examples", symbol with non-ASCII characters.
        let query = Query::new()
            .with("symbol", "１２３４５６")
            .with("side", "BUY")
            .with("type", "LIMIT")
            .with("timeInForce", "GTC")
            .with("quantity", 1)
            .with("price", "0.1");
        let signed = Signer::new(&SECRET.into()).signed(query, 5000, 1_499_827_319_559);
        assert!(signed.as_str().starts_with("symbol=%EF%BC%91%EF%BC%92"));
        assert!(signed.as_str().ends_with(
            "&signature=e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"
        ));
    }

    #[test]
    fn a_ws_payload_is_sorted_and_raw() {
        // Binance web-socket-api.md, "SIGNED request example (HMAC)", non-ASCII symbol.
        let signature = Signer::new(&SECRET.into()).sign_ws(&[
            ("symbol", "１２３４５６"),
            ("side", "BUY"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "1.00000000"),
            ("price", "0.10000000"),
            ("recvWindow", "5000"),
            ("timestamp", "1645423376532"),
            ("apiKey", KEY),
        ]);
        assert_eq!(signature, "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd");
    }

    #[test]
    fn credentials_show_nothing() {
        let credentials = Credentials { key: KEY.into(), secret: SECRET.into() };
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
