//! What must survive a restart: who may run here, order ids that never repeat, and a latched halt.
//!
//! | File | Holds |
//! |---|---|
//! | `lock` | An advisory lock, held for the life of the process. |
//! | `owner.json` | The schema and the account that this directory belongs to. |
//! | `epoch` | The last epoch given out; on disk before any order of it. |
//! | `ledger.json` | What the running session holds, earned and counted, a moment behind. |
//! | `latch.json` | The cause of a halt that only `resume` ends. |
//! | `control.token` | The bearer token of the control endpoints, readable by the owner only. |
//! | `address` | Where the running daemon answers. |

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::clock;
use crate::domain::{HaltCause, Money, Ts};
use crate::engine::Ledger;

const SCHEMA: u32 = 1;

/// Whom a state directory belongs to. A mismatch is refused: ids and latches of another account
/// would be taken for ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    schema: u32,
    account: String,
}

/// A halt that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// Why.
    pub cause: HaltCause,
    /// In words.
    pub text: String,
    /// Since when.
    pub at: Ts,
}

/// Why a state directory cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// Another instance runs on it.
    Locked(PathBuf),
    /// It belongs to another account or another version of the schema.
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is and whose is allowed.
        text: String,
    },
    /// A file in it is not as we wrote it.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong and what mends it.
        text: String,
    },
    /// The operating system refuses.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its words.
        error: std::io::Error,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Locked(path) => {
                write!(f, "state directory {}: another instance holds its lock", path.display())
            }
            StateError::Foreign { path, text } => {
                write!(f, "state directory {}: {text}", path.display())
            }
            StateError::Damaged { path, text } => write!(f, "{}: {text}", path.display()),
            StateError::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for StateError {}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io { path, error }
}

/// A state directory, locked for us until dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Lock the directory, made when missing, for `account`: a stable tag such as a fingerprint of
    /// the keys and venues, never a secret.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another instance runs, [`StateError::Foreign`] when it belongs
    /// to another account, and what the operating system refuses.
    pub fn open(path: &Path, account: &str) -> Result<StateDir, StateError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => StateError::Locked(path.to_owned()),
            TryLockError::Error(error) => StateError::Io { path: lock_path, error },
        })?;
        let state = StateDir { path: path.to_owned(), _lock: lock };
        state.check_owner(account)?;
        Ok(state)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_owner(&self, account: &str) -> Result<(), StateError> {
        let ours = Owner { schema: SCHEMA, account: account.to_owned() };
        match self.read::<Owner>("owner.json", "remove the directory to start anew")? {
            None => self.replace("owner.json", &json(&ours)),
            Some(owner) if owner == ours => Ok(()),
            Some(owner) => Err(StateError::Foreign {
                path: self.path.clone(),
                text: format!(
                    "it belongs to account {:?} (schema {}); this run is account {:?} (schema \
                     {SCHEMA}): name another state directory, or remove this one",
                    owner.account, owner.schema, ours.account,
                ),
            }),
        }
    }

    /// The epoch of this start: Unix seconds, or one more than the last epoch when that is later.
    /// It is on disk when this returns, so no order id is ever used twice.
    ///
    /// # Errors
    /// A damaged epoch file (guessing could repeat ids) and what the operating system refuses.
    pub fn next_epoch(&self) -> Result<u32, StateError> {
        self.epoch_after(clock::unix_seconds())
    }

    fn epoch_after(&self, unix_seconds: u64) -> Result<u32, StateError> {
        let damaged = |text: &str| StateError::Damaged {
            path: self.path.join("epoch"),
            text: format!("{text}; write a number above every epoch used, or remove it"),
        };
        let last: Option<u32> = self.read("epoch", "write a number above every epoch used")?;
        let least = match last {
            None => 1,
            Some(last) => last.checked_add(1).ok_or_else(|| damaged("no epoch is left"))?,
        };
        let epoch = u32::try_from(unix_seconds).unwrap_or(u32::MAX).max(least);
        self.replace("epoch", epoch.to_string().as_bytes())?;
        Ok(epoch)
    }

    /// The latched halt, if one stands.
    ///
    /// # Errors
    /// A damaged latch file: it may have been a halt, so nothing starts before somebody has looked.
    pub fn latch(&self) -> Result<Option<Latch>, StateError> {
        self.read("latch.json", "look why it halted, then remove the file")
    }

    /// Latch a halt; on disk when this returns.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn set_latch(&self, latch: &Latch) -> Result<(), StateError> {
        self.replace("latch.json", &json(latch))
    }

    /// End the latched halt; no error when none stands.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn clear_latch(&self) -> Result<(), StateError> {
        self.remove("latch.json")
    }

    /// The bearer token of the control endpoints, made on first use: 256 bits in hex.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn control_token(&self) -> Result<SecretString, StateError> {
        if let Some(token) = read_control_token(&self.path)? {
            return Ok(token);
        }
        let mut bytes = [0_u8; 32];
        let source = Path::new("/dev/urandom");
        File::open(source).and_then(|mut f| f.read_exact(&mut bytes)).map_err(io(source))?;
        let token = hex::encode(bytes);
        self.replace("control.token", token.as_bytes())?;
        Ok(SecretString::from(token))
    }

    /// The holdings that count as flat, by `venue:SYMBOL`, as earlier starts have found them.
    ///
    /// # Errors
    /// A damaged file, and what the operating system refuses.
    pub fn targets(&self) -> Result<BTreeMap<String, Money>, StateError> {
        let remedy = "write what counts as flat into the configuration, then remove the file";
        Ok(self.read("targets.json", remedy)?.unwrap_or_default())
    }

    /// Remember a holding that counts as flat; on disk when this returns.
    ///
    /// # Errors
    /// As [`StateDir::targets`].
    pub fn set_target(&self, name: &str, base: Money) -> Result<(), StateError> {
        let mut targets = self.targets()?;
        targets.insert(name.to_owned(), base);
        self.replace("targets.json", &json(&targets))
    }

    /// The ledger of a session that has not ended in order, or still holds something.
    ///
    /// # Errors
    /// A damaged file: the session's loss may be in it, so nothing starts before somebody has
    /// looked; and what the operating system refuses.
    pub fn ledger(&self) -> Result<Option<Ledger>, StateError> {
        self.read("ledger.json", "remove it to begin a session of its own, with no loss counted")
    }

    /// Keep the ledger, or forget it when the session is over; on disk when this returns.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn keep_ledger(&self, ledger: Option<&Ledger>) -> Result<(), StateError> {
        match ledger {
            Some(ledger) => self.replace("ledger.json", &json(ledger)),
            None => self.remove("ledger.json"),
        }
    }

    /// Tell commands in other processes where this daemon answers.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn publish_address(&self, address: SocketAddr) -> Result<(), StateError> {
        self.replace("address", address.to_string().as_bytes())
    }

    /// Nobody answers any more.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn retract_address(&self) -> Result<(), StateError> {
        self.remove("address")
    }

    fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StateError::Io { path, error }),
            Ok(()) => self.sync(),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        remedy: &str,
    ) -> Result<Option<T>, StateError> {
        let path = self.path.join(name);
        let Some(text) = read_text(&path)? else { return Ok(None) };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| StateError::Damaged { path, text: format!("damaged ({e}); {remedy}") })
    }

    /// Write a file so that a crash leaves the old or the new content, and durably.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(io(&path))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), StateError> {
        File::open(&self.path).and_then(|dir| dir.sync_all()).map_err(io(&self.path))
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs of strings and numbers serialise")
}

fn read_text(path: &Path) -> Result<Option<String>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::Io { path: path.to_owned(), error }),
    }
}

/// The control token in a state directory that another process may hold; `None` when there is none.
///
/// # Errors
/// What the operating system refuses.
pub fn read_control_token(state: &Path) -> Result<Option<SecretString>, StateError> {
    let text = read_text(&state.join("control.token"))?;
    Ok(text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).map(SecretString::from))
}

/// Where the daemon on a state directory answers; `None` when none has published an address.
///
/// # Errors
/// What the operating system refuses, or an address that cannot be read.
pub fn read_address(state: &Path) -> Result<Option<SocketAddr>, StateError> {
    let path = state.join("address");
    let Some(text) = read_text(&path)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| StateError::Damaged {
        path,
        text: "not an address; start the daemon again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn targets_are_remembered_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), "a").unwrap();
        assert!(state.targets().unwrap().is_empty());
        state.set_target("spot:BTCUSDT", Money::new(15, 1)).unwrap();
        state.set_target("usdm:BTCUSDT", Money::ZERO).unwrap();
        assert_eq!(state.targets().unwrap()["spot:BTCUSDT"], Money::new(15, 1));
    }

    #[test]
    fn one_instance_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = StateDir::open(&path, "a").unwrap();
        assert!(matches!(StateDir::open(&path, "a"), Err(StateError::Locked(_))));
        drop(first);
        assert!(StateDir::open(&path, "a").is_ok());
    }

    #[test]
    fn another_accounts_directory_is_refused_with_words() {
        let dir = tempfile::tempdir().unwrap();
        drop(StateDir::open(dir.path(), "testnet:1234").unwrap());
        let error = StateDir::open(dir.path(), "live:5678").unwrap_err();
        assert!(matches!(error, StateError::Foreign { .. }));
        let text = error.to_string();
        assert!(text.contains("testnet:1234") && text.contains("live:5678"), "{text}");
    }

    #[test]
    fn epochs_rise_even_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), "a").unwrap();
        assert_eq!(state.epoch_after(1000).unwrap(), 1000);
        assert_eq!(state.epoch_after(1000).unwrap(), 1001);
        assert_eq!(state.epoch_after(5).unwrap(), 1002);
        assert_eq!(state.epoch_after(2000).unwrap(), 2000);
        assert_eq!(state.epoch_after(u64::MAX).unwrap(), u32::MAX);
        assert!(matches!(state.epoch_after(1), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn damaged_files_stop_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), "a").unwrap();
        fs::write(dir.path().join("epoch"), "17 or so").unwrap();
        fs::write(dir.path().join("latch.json"), "{").unwrap();
        assert!(matches!(state.next_epoch(), Err(StateError::Damaged { .. })));
        assert!(matches!(state.latch(), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn latches_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let latch = Latch { cause: HaltCause::LossLimit, text: "lost".to_owned(), at: Ts(7) };
        let state = StateDir::open(dir.path(), "a").unwrap();
        assert_eq!(state.latch().unwrap(), None);
        state.set_latch(&latch).unwrap();
        drop(state);
        let state = StateDir::open(dir.path(), "a").unwrap();
        assert_eq!(state.latch().unwrap(), Some(latch));
        state.clear_latch().unwrap();
        state.clear_latch().unwrap();
        assert_eq!(state.latch().unwrap(), None);
    }

    #[test]
    fn the_address_is_there_while_somebody_answers() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), "a").unwrap();
        assert_eq!(read_address(dir.path()).unwrap(), None);
        let address: SocketAddr = "127.0.0.1:9090".parse().unwrap();
        state.publish_address(address).unwrap();
        assert_eq!(read_address(dir.path()).unwrap(), Some(address));
        state.retract_address().unwrap();
        state.retract_address().unwrap();
        assert_eq!(read_address(dir.path()).unwrap(), None);
    }

    #[test]
    fn the_control_token_is_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), "a").unwrap();
        let token = state.control_token().unwrap();
        assert_eq!(token.expose_secret().len(), 64);
        let again = read_control_token(dir.path()).unwrap().unwrap();
        assert_eq!(again.expose_secret(), token.expose_secret());
        let mode = fs::metadata(dir.path().join("control.token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
