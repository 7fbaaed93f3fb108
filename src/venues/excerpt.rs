//! A line of something foreign that may be shown.

/// Most characters of a foreign text that are looked at and that are shown.
const LOOKED_AT: usize = 1000;
const SHOWN: usize = 160;
/// A run of letters and digits this long is taken for a signature, a key or a listen key: those have
/// 64 characters, our order ids fewer than 36 with a dash between.
const LONGEST_WORD: usize = 32;
/// What follows these is a secret however short it is. Ours, or an echo of ours: a proxy's error page
/// likes to repeat the address that it was asked for.
const NAMES: [&str; 5] = ["signature", "apikey", "listenkey", "x-mbx-apikey", "token"];
const MASK: &str = "[hidden]";

/// At most 160 characters of something foreign, without what may be a secret.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let looked_at: String = text.chars().take(LOOKED_AT).collect();
    let mut shown = String::new();
    let (mut named, mut bound) = (false, false);
    let mut rest = looked_at.as_str();
    while let Some(first) = rest.chars().next() {
        if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let secret = named && bound || word.len() >= LONGEST_WORD && !word.contains('-');
            shown.push_str(if secret { MASK } else { word });
            named = NAMES.contains(&word.to_ascii_lowercase().as_str());
            bound = false;
            rest = after;
        } else {
            // A value is bound to its name by `=` or `:`, with quotes and blanks around.
            bound |= matches!(first, '=' | ':');
            named &= matches!(first, '=' | ':' | '"' | '\'' | '\\' | ' ');
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown.chars().take(SHOWN).collect()
}

/// What keys, tokens and signatures are made of.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        assert_eq!(excerpt(text), shown, "{text}");
    }

    #[test]
    fn an_echo_of_our_own_request_shows_no_secret() {
        let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        check(
            &format!("<p>bad: /api/v3/order?symbol=BTCUSDT&signature={signature}</p>"),
            "<p>bad: /api/v3/order?symbol=BTCUSDT&signature=[hidden]</p>",
        );
        check(&format!("{{\"q\":\"{signature}\"}}"), "{\"q\":\"[hidden]\"}");
        check("\"apiKey\" : \"toy-key-of\", \"a\":1", "\"apiKey\" : \"[hidden]\", \"a\":1");
        check("?listenKey=abc&x=1", "?listenKey=[hidden]&x=1");
        check("X-MBX-APIKEY: k", "X-MBX-APIKEY: [hidden]");
    }

    #[test]
    fn what_is_no_secret_is_shown_and_cut() {
        check("Unknown order sent.", "Unknown order sent.");
        let refused = "Signature for this request is not valid.";
        check(refused, refused);
        check("ek-1795000000-12 Ω", "ek-1795000000-12 Ω");
        assert_eq!(excerpt(&"é ".repeat(500)).chars().count(), SHOWN);
    }
}
