//! A local exchange, a daemon as a process, and patience with an end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::domain::{Instrument, Money};
use evenkeel::live::clock;
use evenkeel::live::exchange::{ExchangeHandle, ExchangeParams, ExchangeServer};
use evenkeel::sim::faces::KeyRights;
use evenkeel::sim::faces::request::Credential;
use evenkeel::sim::{Source, toy};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

/// Longest wait for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Keys of the toy account, as config/demo.toml has them.
pub(super) const KEY: &str = "toy-key-of-the-local-exchange";
pub(super) const SECRET: &str = "toy-secret-of-the-local-exchange";

pub(super) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// Asks again until there is an answer; `what` is told when there is none in time.
pub(super) fn until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::instant() + patience;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(clock::instant() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ---- the venue ----

/// A local exchange in this process.
pub(super) struct Venue {
    handle: ExchangeHandle,
}

/// Its truth at one instant.
pub(super) struct Truth(pub(super) Value);

impl Venue {
    /// A lively market: fills come within seconds.
    pub(super) fn lively(seed: u64) -> Venue {
        Venue::start(seed, |_| {})
    }

    /// The same, its spot instrument changed before it opens.
    pub(super) fn start(seed: u64, change: impl Fn(&mut Instrument)) -> Venue {
        let key = Credential { api_key: KEY.to_owned(), secret: SECRET.to_owned(), account: 0 };
        let mut local = toy::exchange(seed, vec![key]);
        local.exchange.history = 100_000;
        for market in &mut local.exchange.markets {
            if let Source::Synthetic(crowd) = &mut market.source {
                (crowd.takes, crowd.sweeps) = (20.0, 4.0);
            }
        }
        change(&mut local.exchange.markets[0].instrument);
        let params = ExchangeParams { spot_port: 0, usdm_port: 0, step_ms: 5, local };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Venue { handle: runtime.block_on(ExchangeServer::start(params)).unwrap() }
    }

    /// `host:port` of the spot venue and of the USD-M venue.
    pub(super) fn addresses(&self) -> [String; 2] {
        [self.handle.spot_rest(), self.handle.usdm_rest()]
            .map(|url| url.strip_prefix("http://").unwrap().to_owned())
    }

    /// What `apiRestrictions` says of the key from now on.
    pub(super) fn permit(&self, rights: &KeyRights) {
        self.handle.permit(0, rights);
    }

    /// Makes something go wrong, counted from now; the rule is JSON.
    pub(super) fn fault(&self, rule: &str) {
        self.handle.add_fault(serde_json::from_str(rule).unwrap());
    }

    pub(super) fn truth(&self) -> Truth {
        Truth(serde_json::from_str(&self.handle.state()).unwrap())
    }

    /// A spot order of the same account that is not the daemon's: somebody else's, by its name.
    pub(super) fn foreign_order(&self, name: &str) {
        let order = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000.00\
             &newClientOrderId={name}"
        );
        let (code, body) = self.signed("POST", 0, "/api/v3/order", &order);
        assert_eq!(code, 200, "{body}");
    }

    /// A signed request of the account to the spot venue (0) or the USD-M venue (1).
    pub(super) fn signed(&self, method: &str, at: usize, path: &str, query: &str) -> (u16, String) {
        let ms = self.truth().0["time_ns"].as_i64().unwrap() / 1_000_000;
        let payload = format!("{query}&timestamp={ms}");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let host = &self.addresses()[at];
        let request = format!(
            "{method} {path}?{payload}&signature={signature} HTTP/1.1\r\nHost: {host}\r\n\
             X-MBX-APIKEY: {KEY}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        ask(host.parse().unwrap(), &request).unwrap()
    }

    pub(super) fn until(&self, what: &str, holds: impl Fn(&Truth) -> bool) -> Truth {
        let deadline = clock::instant() + PATIENCE;
        loop {
            let truth = self.truth();
            if holds(&truth) {
                return truth;
            }
            assert!(clock::instant() < deadline, "{what}: never; {:#}", truth.0);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Truth {
    fn account(&self) -> &Value {
        &self.0["accounts"][0]
    }

    pub(super) fn open_orders(&self) -> Vec<Value> {
        self.account()["open_orders"].as_array().unwrap().clone()
    }

    pub(super) fn open_on(&self, side: &str) -> usize {
        self.open_orders().iter().filter(|order| order["side"] == side).count()
    }

    /// Total of an asset in the spot wallet.
    pub(super) fn spot(&self, asset: &str) -> Money {
        let balances = self.account()["spot_balances"].as_array().unwrap();
        let own = balances.iter().find(|balance| balance["asset"] == asset).unwrap();
        money(own["free"].as_str().unwrap()) + money(own["locked"].as_str().unwrap())
    }

    /// The perpetual position.
    pub(super) fn position(&self) -> Money {
        let positions = self.account()["positions"].as_array().unwrap();
        positions.first().map_or(Money::ZERO, |own| money(own["quantity"].as_str().unwrap()))
    }

    pub(super) fn trades(&self) -> u64 {
        self.account()["trades"].as_u64().unwrap()
    }

    /// New orders ever asked for.
    pub(super) fn order_requests(&self) -> u64 {
        self.0["order_requests"].as_u64().unwrap()
    }

    /// One BTC as at the start to within what the venue takes as an order, no position, no order.
    pub(super) fn is_flat(&self) -> bool {
        self.open_orders().is_empty()
            && (self.spot("BTC") - Money::ONE).abs() < money("0.0001")
            && self.position() == Money::ZERO
    }
}

// ---- the daemon ----

/// A configuration in a directory of its own.
pub(super) struct Home {
    dir: tempfile::TempDir,
    pub(super) config: PathBuf,
}

/// config/demo.toml with another venue and its own state directory.
pub(super) fn demo_config(addresses: &[String; 2], state: &Path) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("127.0.0.1:9180", &addresses[0]);
    let text = text.replace("127.0.0.1:9181", &addresses[1]);
    // Tests ask often: what an hour of a real run shows must happen in seconds.
    edit(&text, "state_dir = \"state/demo\"", &format!("state_dir = \"{}\"", state.display()))
}

/// Replaces what must be there.
pub(super) fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "config/demo.toml has no {from:?} any more");
    text.replace(from, to)
}

impl Home {
    pub(super) fn new(venue: &Venue, change: impl Fn(&str) -> String) -> Home {
        Home::at(&venue.addresses(), change)
    }

    pub(super) fn at(addresses: &[String; 2], change: impl Fn(&str) -> String) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("evenkeel.toml");
        std::fs::write(&config, change(&demo_config(addresses, &dir.path().join("state"))))
            .unwrap();
        Home { dir, config }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(super) fn token(&self) -> String {
        std::fs::read_to_string(self.state().join("control.token")).unwrap().trim().to_owned()
    }

    /// Where the daemon of this home answers, once it does.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        std::fs::read_to_string(self.state().join("address")).ok()?.trim().parse().ok()
    }

    /// Another command of the binary with this configuration: exit code, stdout, stderr.
    pub(super) fn command(&self, args: &[&str]) -> (i32, String, String) {
        let mut all = args.to_vec();
        let config = self.config.display().to_string();
        all.extend(["--config", &config]);
        evenkeel(&all)
    }

    pub(super) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts a daemon with these environment variables.
    pub(super) fn start_with(&self, environment: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.arg("run").arg("--config").arg(&self.config).envs(environment.iter().copied());
        Daemon::of(command, self.state())
    }
}

/// Runs the binary to its end: exit code, stdout, stderr.
pub(super) fn evenkeel(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A running process of ours; killed when the test is over.
pub(super) struct Daemon {
    child: Child,
    state: PathBuf,
    said: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Daemon {
    pub(super) fn of(mut command: Command, state: PathBuf) -> Daemon {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            listen(child.stdout.take().unwrap(), &said),
            listen(child.stderr.take().unwrap(), &said),
        ];
        Daemon { child, state, said, readers }
    }

    /// Everything on stdout and stderr so far.
    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// The status now, if there is one.
    pub(super) fn status(&self) -> Option<Value> {
        let address = std::fs::read_to_string(self.state.join("address")).ok()?;
        let (code, body) = get(address.trim().parse().ok()?, "/status")?;
        (code == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = clock::instant() + PATIENCE;
        let mut last = None;
        loop {
            if let Some(status) = self.status() {
                if holds(&status) {
                    return status;
                }
                last = Some(status);
            }
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || clock::instant() >= deadline {
                panic!("{what}: never; exit {ended:?}; {last:#?}\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn until_state(&mut self, state: &str) -> Value {
        self.until(state, |status| status["state"] == state)
    }

    /// It has said this on stdout or stderr.
    pub(super) fn until_said(&self, words: &str) {
        until(&format!("{words:?} in\n{}", self.said()), PATIENCE, || {
            self.said().contains(words).then_some(())
        });
    }

    /// Quoting on both sides of the spot market.
    pub(super) fn until_two_sided(&mut self) -> Value {
        self.until("quotes on both sides", |status| {
            let own = &status["instruments"][0];
            own["bid"]["reason"] == "quoting" && own["ask"]["reason"] == "quoting"
        })
    }

    /// Waits for the end: its exit code and everything said.
    pub(super) fn end(&mut self) -> (i32, String) {
        let status = until(&format!("the end of\n{}", self.said()), PATIENCE, || {
            self.child.try_wait().unwrap()
        });
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status.code().unwrap_or(-1), self.said())
    }

    pub(super) fn stop(&mut self) -> (i32, String) {
        self.signal("TERM");
        self.end()
    }

    /// kill -9.
    pub(super) fn murder(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn listen(
    from: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    })
}

/// A plain request, whole: its status and body.
pub(super) fn ask(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let code = reply.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = reply.split_once("\r\n\r\n")?;
    Some((code, body.to_owned()))
}

pub(super) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// What the daemon holds by its own books: spot and perpetual.
pub(super) fn held(status: &Value) -> [Money; 2] {
    [0, 1].map(|index| money(status["instruments"][index]["held_base"].as_str().unwrap()))
}

/// The daemon's books and the venue's agree, now or very soon.
pub(super) fn agree(daemon: &Daemon, venue: &Venue) {
    let mut last = String::new();
    let deadline = clock::instant() + PATIENCE;
    loop {
        let before = venue.truth();
        let truth = [before.spot("BTC"), before.position()];
        if let Some(status) = daemon.status() {
            let ours = held(&status);
            if ours == truth {
                return;
            }
            last = format!("ours {ours:?}, the venue's {truth:?}");
        }
        assert!(clock::instant() < deadline, "books never agree: {last}\n{}", daemon.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}
