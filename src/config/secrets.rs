//! Where secrets come from. A configuration names a source; nothing here prints what it holds.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Problem, Settings, settings::Mode};

/// Longest secret that is read; keys of the venues have 64 characters.
const MAX_SECRET_BYTES: u64 = 4096;

/// Where one secret is.
#[derive(Clone, Debug)]
pub enum SecretPlace {
    /// An environment variable of this name.
    Env(String),
    /// A file that only its owner may read.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The words themselves: for the toy accounts of a local exchange, refused elsewhere.
    Toy(SecretString),
}

/// One secret of the configuration, by where it is.
#[derive(Clone, Debug)]
pub struct SecretSource {
    /// Where it is.
    pub place: SecretPlace,
    /// The key in the configuration that named it.
    pub key: String,
    /// The line of the section.
    pub line: usize,
}

/// An API key pair, by where it is.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// The API key.
    pub key: SecretSource,
    /// The secret that signs.
    pub secret: SecretSource,
}

/// An API key pair.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// The API key, sent with each request.
    pub key: SecretString,
    /// The secret that signs, never sent.
    pub secret: SecretString,
}

/// Every secret of a configuration.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// One pair a venue, in the order of the venues.
    pub venues: Vec<ApiKeys>,
    /// The bearer token of the control endpoints.
    pub http_token: Option<SecretString>,
    /// The address of the webhook.
    pub alerts_url: Option<SecretString>,
}

impl SecretSource {
    /// Fetch the secret, or say what is wrong with its place, never with a piece of it.
    pub fn read(&self) -> Result<SecretString, Problem> {
        let text = match &self.place {
            SecretPlace::Env(name) => std::env::var(name)
                .map_err(|_| format!("names the environment variable {name}, which is not set")),
            SecretPlace::File(path) => private_file(path),
            SecretPlace::Credential(name) => credential(name),
            SecretPlace::Toy(words) => Ok(words.expose_secret().to_owned()),
        };
        let text = text.and_then(|text| {
            let trimmed = text.trim();
            let fits = !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_graphic());
            if fits {
                Ok(SecretString::from(trimmed))
            } else {
                Err("leads to an empty or unprintable secret; it must be one line of printable \
                     ASCII without blanks"
                    .to_owned())
            }
        });
        text.map_err(|text| Problem { line: self.line, key: self.key.clone(), text })
    }
}

/// Read every secret; all problems at once.
pub fn read_secrets(settings: &Settings) -> Result<Secrets, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut venues = Vec::new();
    for venue in &settings.venues {
        match (venue.keys.key.read(), venue.keys.secret.read()) {
            (Ok(key), Ok(secret)) => venues.push(ApiKeys { key, secret }),
            (key, secret) => problems.extend([key.err(), secret.err()].into_iter().flatten()),
        }
    }
    let mut optional = |source: Option<&SecretSource>| match source.map(SecretSource::read) {
        Some(Ok(secret)) => Some(secret),
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
        None => None,
    };
    let http_token = optional(settings.http.token.as_ref());
    let alerts_url = optional(settings.alerts.as_ref().map(|alerts| &alerts.url));
    if problems.is_empty() { Ok(Secrets { venues, http_token, alerts_url }) } else { Err(problems) }
}

/// A file that nobody but its owner, who is us or root, may read.
fn private_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = fs::File::open(path).map_err(|e| format!("names {shown}: {e}"))?;
    let meta = file.metadata().map_err(|e| format!("names {shown}: {e}"))?;
    if !meta.is_file() {
        return Err(format!("names {shown}, which is no regular file"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(format!(
            "names {shown}, which others may read or change (mode {:04o}); allowed is 0600 or \
             0400: chmod 600 {shown}",
            meta.mode() & 0o7777
        ));
    }
    let us = fs::metadata("/proc/self").map(|me| me.uid()).unwrap_or(meta.uid());
    if meta.uid() != us && meta.uid() != 0 {
        return Err(format!("names {shown}, which belongs to user {}, not to us", meta.uid()));
    }
    bounded(file, path)
}

/// A systemd credential; systemd has already closed the directory to everybody else.
fn credential(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err("is no credential name; it must be a plain file name".to_owned());
    }
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        format!("names the credential {name}, but $CREDENTIALS_DIRECTORY is not set: is this a systemd unit with LoadCredential={name}:…?")
    })?;
    let path = PathBuf::from(dir).join(name);
    let file = fs::File::open(&path).map_err(|e| format!("names {}: {e}", path.display()))?;
    bounded(file, &path)
}

fn bounded(file: fs::File, path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text);
    match read {
        Err(e) => Err(format!("names {}: {e}", path.display())),
        Ok(n) if n as u64 > MAX_SECRET_BYTES => {
            Err(format!("names {}, which is no secret: over 4096 bytes", path.display()))
        }
        Ok(_) => Ok(text),
    }
}

impl Secrets {
    /// Which money these keys are, for the state directory to be bound to: the mode and a
    /// fingerprint of each API key. A directory of one account or mode is refused for another.
    #[must_use]
    pub fn account(&self, mode: Mode) -> String {
        let prints: Vec<String> = self.venues.iter().map(|pair| fingerprint(&pair.key)).collect();
        format!("{}:{}", mode.as_str(), prints.join("+"))
    }
}

/// 12 hex digits of a hash of the key: enough to tell keys apart, nothing to find one by.
fn fingerprint(key: &SecretString) -> String {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel key fingerprint\0");
    hash.update(key.expose_secret().as_bytes());
    hex::encode(&hash.finalize()[..6])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn source(place: SecretPlace) -> SecretSource {
        SecretSource { place, key: "venues[0].keys.secret".into(), line: 7 }
    }

    #[test]
    fn a_key_file_must_be_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "CANARY-4711\n").unwrap();
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for (mode, ok) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            set(mode);
            let read = source(SecretPlace::File(path.clone())).read();
            assert_eq!(read.is_ok(), ok, "{mode:o}");
            assert!(!format!("{read:?}").contains("CANARY"));
        }
        let missing = source(SecretPlace::File(dir.path().join("none"))).read().unwrap_err();
        assert_eq!(missing.line, 7);
    }

    #[test]
    fn an_account_tells_modes_and_keys_apart_and_shows_none() {
        let secrets = |key: &str| Secrets {
            venues: vec![ApiKeys { key: key.into(), secret: "CANARY-SECRET".into() }],
            http_token: None,
            alerts_url: None,
        };
        let account = secrets("CANARY-KEY").account(Mode::Testnet);
        assert!(account.starts_with("testnet:") && !account.contains("CANARY"), "{account}");
        assert_ne!(account, secrets("CANARY-KEY").account(Mode::Production));
        assert_ne!(account, secrets("CANARY-KEZ").account(Mode::Testnet));
    }
}
