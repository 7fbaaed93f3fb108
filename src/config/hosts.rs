//! The environment lock: which hosts a configuration may reach.

use std::net::IpAddr;

use super::settings::Mode;

/// Whom a host belongs to, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// This machine.
    Loopback,
    /// An exchange's play money: testnet or demo.
    Testnet,
    /// An exchange's real money.
    Production,
    /// Not one we know.
    Unknown,
}

/// Classify a host name or address. Production is every name under a domain of the exchange that
/// is not known to be for play: a name we have never heard of there must not pass as harmless.
/// Sources: the base-URL pages of the Binance Spot and USD-M API documents (2026).
#[must_use]
pub fn host_kind(host: &str) -> HostKind {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return HostKind::Loopback;
    }
    let under = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let first = host.split('.').next().unwrap_or_default();
    let is_production_twin = first.starts_with("data-") || first == "data";
    let is_play = (under("binance.com") && first.starts_with("demo-"))
        || under("binancefuture.com")
        || (under("binance.vision") && !is_production_twin);
    if is_play {
        HostKind::Testnet
    } else if ["binance.com", "binance.vision", "binance.us", "binance.me", "binance.info"]
        .iter()
        .any(|domain| under(domain))
    {
        HostKind::Production
    } else {
        HostKind::Unknown
    }
}

/// A URL's scheme and host, or what is wrong with it. Only what the lock needs: no user info, no
/// query, no fragment, because a base URL has none.
pub(super) fn scheme_and_host(url: &str) -> Result<(&str, &str), String> {
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| "is no URL; it must be scheme://host".to_owned())?;
    let authority = rest.split('/').next().unwrap_or_default();
    if rest.contains(['@', '?', '#', ' ', '\\']) || !url.is_ascii() {
        return Err("holds user, query or fragment parts; a base URL has none".to_owned());
    }
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("has no valid port; allowed is 0 to 65535".to_owned());
    }
    Ok((scheme, host))
}

/// Whether a mode may use a URL; the reason when it may not.
pub(super) fn lock(
    mode: Mode,
    url: &str,
    schemes: (&str, &str),
    allow_plaintext: bool,
) -> Result<(), String> {
    let (scheme, host) = scheme_and_host(url)?;
    let kind = host_kind(host);
    let (secure, plain) = schemes;
    if scheme == plain {
        if kind != HostKind::Loopback {
            return Err(format!(
                "is plain {plain} to {host}; over a network only {secure} is allowed"
            ));
        }
        if !allow_plaintext {
            return Err(format!(
                "is plain {plain}; that needs environment.allow_plaintext_loopback = true, and \
                 works to this machine only"
            ));
        }
    } else if scheme != secure {
        return Err(format!(
            "has scheme {scheme:?}; allowed is {secure}:// (or {plain}:// to this machine)"
        ));
    }
    match (mode, kind) {
        (Mode::Local, HostKind::Loopback)
        | (Mode::Testnet, HostKind::Loopback | HostKind::Testnet | HostKind::Unknown)
        | (Mode::Production, HostKind::Production | HostKind::Unknown) => Ok(()),
        (Mode::Local, _) => {
            Err(format!("is {host}, but environment.mode = \"local\" reaches this machine only"))
        }
        (_, HostKind::Production) => Err(format!(
            "is {host}, a production host, but environment.mode = {:?}; real money needs mode = \
             \"production\" and its second switch",
            mode.as_str()
        )),
        (Mode::Production, _) => Err(format!(
            "is {host}, which is no production host, but environment.mode = \"production\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_their_owner() {
        for (host, kind) in [
            ("127.0.0.1", HostKind::Loopback),
            ("[::1]", HostKind::Loopback),
            ("localhost", HostKind::Loopback),
            ("localhost.evil.example", HostKind::Unknown),
            ("api.binance.com", HostKind::Production),
            ("API.BINANCE.COM.", HostKind::Production),
            ("api-gcp.binance.com", HostKind::Production),
            ("fapi.binance.com", HostKind::Production),
            ("ws-fapi.binance.com", HostKind::Production),
            ("data-api.binance.vision", HostKind::Production),
            ("demo-api.binance.com", HostKind::Testnet),
            ("demo-fapi.binance.com", HostKind::Testnet),
            ("testnet.binance.vision", HostKind::Testnet),
            ("ws-api.testnet.binance.vision", HostKind::Testnet),
            ("fstream.binancefuture.com", HostKind::Testnet),
            ("binance.com.example", HostKind::Unknown),
            ("notbinance.com", HostKind::Unknown),
        ] {
            assert_eq!(host_kind(host), kind, "{host}");
        }
    }

    #[test]
    fn urls_give_their_host_or_a_reason() {
        assert_eq!(scheme_and_host("wss://[::1]:9/x"), Ok(("wss", "[::1]")));
        assert_eq!(scheme_and_host("https://a.b:443"), Ok(("https", "a.b")));
        for bad in ["a.b", "https://", "https://u@h", "https://h:99999", "https://h?k=1"] {
            assert!(scheme_and_host(bad).is_err(), "{bad}");
        }
    }
}
