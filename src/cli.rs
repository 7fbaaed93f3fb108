//! Commands and their arguments.

mod ask;
mod check;
mod compare;
mod config;
mod demo;
mod exchange;
mod explain;
mod guard;
mod journal;
mod panic;
mod reload;
mod run;
mod simulate;
mod status;
mod table;
mod terminal;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{ConfigError, Loaded, Secrets, Settings};
use crate::domain::Money;
use crate::simulate::Kind;

/// How a process ends; a supervisor decides by it whether to start it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: flat and clean, or the question was answered.
    Clean,
    /// 1: the question could not be asked or answered (no daemon, refused token).
    Failed,
    /// 2: configuration or arguments.
    Config,
    /// 3: keys or permissions.
    Keys,
    /// 4: halted for safety, flat.
    SafetyHaltFlat,
    /// 5: stopped with orders or positions possibly left.
    MaybeLeft,
    /// 6: another instance holds the lock.
    Locked,
    /// 70: a bug of ours.
    Bug,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Config => 2,
            Exit::Keys => 3,
            Exit::SafetyHaltFlat => 4,
            Exit::MaybeLeft => 5,
            Exit::Locked => 6,
            Exit::Bug => 70,
        }
    }
}

/// A live market maker that keeps its inventory on an even keel.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, about, after_help = EXIT_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_HELP: &str = "First steps:\n  \
    evenkeel demo                            see it trade, nothing to set up\n  \
    evenkeel check --config my.toml          what a configuration would quote\n  \
    evenkeel run --config my.toml            trade\n  \
    evenkeel status --config my.toml --watch look at it\n  \
    evenkeel explain --config my.toml        why these quotes\n  \
    evenkeel kill --config my.toml           cancel everything, now\n\nExit codes: 0 flat and clean, 1 no answer from the daemon, 2 \
    configuration or arguments, 3 keys or permissions, 4 safety halt (flat), 5 orders or \
    positions may be left, 6 another instance holds the lock, 70 a bug of ours.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Local exchange, bot and dashboard in one process: no key, no network, ends by itself
    #[command(after_help = DEMO_HELP)]
    Demo(DemoArgs),
    /// The daemon against the venues of a configuration
    Run(ConfigArg),
    /// Validate a configuration, show what it resolves to and what it would quote
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// A starter, the schema for editors, the reference of every key
    Config(config::ConfigArgs),
    /// The local exchange alone
    Exchange(ExchangeArgs),
    /// State, reasons, prices and inventory of a running daemon
    #[command(after_help = STATUS_HELP)]
    Status(StatusArgs),
    /// Why a running daemon's quotes are what they are: every step from fair price to order
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Working orders of a running daemon
    #[command(after_help = ORDERS_HELP)]
    Orders(AskArgs),
    /// Positions and exposure of a running daemon
    #[command(after_help = POSITIONS_HELP)]
    Positions(AskArgs),
    /// Fills, fees and profit of a running daemon
    #[command(after_help = LEDGER_HELP)]
    Ledger(AskArgs),
    /// Pull quotes until resumed; hedging goes on
    Pause(AskArgs),
    /// Quote again; also ends a latched halt
    Resume(AskArgs),
    /// Read the configuration again and apply what may change while running, all or nothing
    Reload(ReloadArgs),
    /// Cancel everything, verified, and stay halted
    #[command(after_help = KILL_HELP)]
    Kill(KillArgs),
    /// A fresh process with only the keys: cancel all of our orders on every venue, verified
    Panic(ConfigArg),
    /// A second process beside the daemon: cancels all of our orders when the daemon is dead or
    /// stands still
    Guard(GuardArgs),
    /// Many seeds of the whole stack but its sockets in virtual time, with everything that goes wrong
    Simulate(SimulateArgs),
    /// The same markets quoted by four strategies: what each earned and held, with confidence
    /// intervals
    Compare(CompareArgs),
    /// The record of what was intended, sent and learnt
    Journal(journal::JournalArgs),
    /// What the shell needs to complete commands and options
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

const DEMO_HELP: &str = "Examples:\n  evenkeel demo                       a minute of trading\n  \
    evenkeel demo --for 0 --seed 7      until Ctrl-C, another market\n  \
    evenkeel demo --replay books.gz     on recorded books";

const CHECK_HELP: &str = "Examples:\n  evenkeel check --config config/demo.toml --price 60000\n  \
    evenkeel check --config my.toml --online     asks the venues as well";

const STATUS_HELP: &str = "Examples:\n  evenkeel status --config my.toml --watch\n  \
    evenkeel status --address 127.0.0.1:9464 --json | jq .session\n\nReading it:\n  \
    bid, ask        whether the side quotes, or the reason why it does not\n  \
    half_bps        half the spread that the model asks for; skew_bps: by how much both quotes lean\n  \
    two_sided       share of the session with both sides shown\n  \
    hedged_from     net exposure from which a hedge begins; beyond_ms: for how long it has been so\n  \
    around, wanted  the price that is quoted around, and the one that the configuration asks for\n  \
    A, k, R²        arrivals of takers as fitted: A·exp(−k·distance)\n\nAmounts are in the quote \
    currency, sizes in base units. Colours come on a terminal only, and not where NO_COLOR is set.";

const ORDERS_HELP: &str = "Reading it:\n  \
    state    working, on its way, being cancelled, or unknown: the venue has not answered, and the \
    order counts as live\n  \
    purpose  quote, hedge or flatten\n  \
    id       the end of the id that the venue knows it by: start, number\n\nExample:\n  \
    evenkeel orders --config my.toml --json | jq '.[] | select(.state == \"unknown\")'";

const POSITIONS_HELP: &str = "Reading it:\n  \
    off_target          held less target, signed: what the quotes lean against\n  \
    limit               how far it may go; the side that would add stops there\n  \
    mean_off, most_off  unsigned, over the session\n  \
    net                 over all instruments of the asset: what is hedged from hedged_from on\n  \
    open_buys, _sells   what working orders would add, those of unknown fate included\n\nSizes are in \
    base units, amounts in the quote currency.";

const LEDGER_HELP: &str = "Reading it:\n  \
    spread      what maker fills earned against the fair price at that instant\n  \
    inventory   what the fair price did to holdings afterwards\n  \
    hedge       hedge fills against the mark; funding and fees stand by themselves\n  \
    effective   half-spread earned at the fill; realised: what was left of it after_ms later\n  \
    adverse     what takers knew, quote; error_bps: standard error\n  \
    bybit, injective, dydx  scores of exchange programmes\n\nThe parts make the result to the last \
    digit. With --json every sum, unrounded.";

const EXPLAIN_HELP: &str = "Examples:\n  evenkeel explain --config my.toml\n  \
    evenkeel explain --config my.toml spot:BTCUSDT";

const KILL_HELP: &str = "Examples:\n  evenkeel kill --config my.toml               orders only\n  \
    evenkeel kill --config my.toml --flatten     positions as well\n\nThe token comes from the \
    state directory; with --address alone, from EVENKEEL_TOKEN. No daemon to ask? Then \
    `evenkeel panic` cancels from a fresh process.";

const COMPLETIONS_HELP: &str = "Examples:\n  \
    evenkeel completions bash > /etc/bash_completion.d/evenkeel\n  \
    evenkeel completions zsh > ~/.zfunc/_evenkeel\n  \
    evenkeel completions fish > ~/.config/fish/completions/evenkeel.fish";

/// A configuration file.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `exchange`.
#[derive(Debug, Args)]
pub struct ExchangeArgs {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print the addresses as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// The daemon's configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// How long the daemon may be silent before its orders are cancelled, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub patience: Duration,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How long to run, such as 60s, 5m or 1h; 0 runs until Ctrl-C
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub lasts: Duration,
    /// What the market's randomness comes from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Market seconds a second of the clock
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Recorded books and trades to use as the market instead of the synthetic one
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub replay: Vec<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Also ask the venues: clock, key permissions, filters, fees
    #[arg(long)]
    pub online: bool,
    /// The price, quote per base, at which to show what would be quoted
    #[arg(long, value_name = "PRICE", default_value = "60000", value_parser = price)]
    pub price: Money,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The seeds, the first and the one after the last, such as 0..1000
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Seeds,
    /// How long each session lasts at least, such as 720s or 2h; its last round is finished
    #[arg(long = "for", value_name = "TIME", default_value = "720s", value_parser = session)]
    pub lasts: Duration,
    /// Sessions at the same time
    #[arg(long, value_name = "N", default_value_t = simulate::cores(), value_parser = jobs)]
    pub jobs: usize,
    /// The daemon's configuration; config/demo.toml, which is built in, unless given
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What may go wrong: all, none, or a list such as crash,gap,slow
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = faults)]
    pub faults: Faults,
    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// Plant one bug after the other, and see which seed finds it
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub planted: bool,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The seeds, the first and the one after the last, such as 0..20; at least two
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Seeds,
    /// Virtual time of each session that counts, such as 20m; at least 1m
    #[arg(long = "for", value_name = "TIME", default_value = "20m", value_parser = duration)]
    pub lasts: Duration,
    /// Virtual time before it that does not count, while estimators learn
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub warm_up: Duration,
    /// Only the configured strategy, with each of these values of one key, as CSV
    #[arg(long, value_name = "KEY=V1,V2,…")]
    pub sweep: Option<compare::knob::Knob>,
    /// Sessions at the same time
    #[arg(long, value_name = "N", default_value_t = simulate::cores(), value_parser = jobs)]
    pub jobs: usize,
    /// The daemon's configuration; config/demo.toml, which is built in, unless given
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// A range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Kind>);

/// Where a running daemon is, and how to show its answer.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The daemon's configuration: its state directory says where it answers
    #[arg(long, value_name = "FILE", required_unless_present = "address")]
    pub config: Option<PathBuf>,
    /// Where the daemon answers, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Why the quotes are what they are, as `explain` says it
    #[arg(long)]
    explain: bool,
    /// Again each second until q or Ctrl-C; line by line where it is no terminal
    #[arg(long, conflicts_with = "explain")]
    watch: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Only this instrument: SYMBOL or venue:SYMBOL
    #[arg(value_name = "INSTRUMENT")]
    instrument: Option<String>,
}

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Close positions as well
    #[arg(long)]
    flatten: bool,
}

/// Arguments of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Accept limits that grow by more than a factor of 2, or that are gone
    #[arg(long)]
    confirm: bool,
}

/// Everything the binary does.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) => {
            let asked = !help.use_stderr();
            // Nothing is left to do when the terminal is gone.
            let _unprintable = help.print();
            return ExitCode::from(if asked { 0 } else { Exit::Config.code() });
        }
    };
    let outcome = std::panic::catch_unwind(|| dispatch(&cli.command));
    ExitCode::from(outcome.unwrap_or(Exit::Bug).code())
}

fn dispatch(command: &Command) -> Exit {
    match command {
        Command::Demo(args) => demo::demo(args),
        Command::Run(args) => run::run(&args.config),
        Command::Check(args) => check::check(args),
        Command::Config(args) => config::config(args),
        Command::Exchange(args) => exchange::exchange(args),
        Command::Status(StatusArgs { ask, explain: true, .. }) => ask::explain(ask, None),
        Command::Status(StatusArgs { ask, watch: true, .. }) => ask::watch(ask, status::status),
        Command::Status(StatusArgs { ask, .. }) => ask::read(ask, None, status::status),
        Command::Explain(args) => ask::explain(&args.ask, args.instrument.as_deref()),
        Command::Orders(args) => ask::read(args, Some("orders"), status::orders),
        Command::Positions(args) => ask::read(args, Some("instruments"), status::positions),
        Command::Ledger(args) => ask::read(args, Some("session"), status::ledger),
        Command::Pause(args) => ask::act(args, "pause", String::new()),
        Command::Resume(args) => ask::act(args, "resume", String::new()),
        Command::Reload(ReloadArgs { ask, confirm }) => {
            ask::act_and_show(ask, "reload", format!(r#"{{"confirm":{confirm}}}"#), reload::table)
        }
        Command::Kill(KillArgs { ask, flatten }) => {
            ask::act(ask, "kill", format!(r#"{{"flatten":{flatten}}}"#))
        }
        Command::Panic(args) => panic::panic(&args.config),
        Command::Guard(args) => guard::guard(args),
        Command::Simulate(args) => simulate::simulate(args),
        Command::Compare(args) => compare::compare(args),
        Command::Journal(args) => journal::journal(args),
        Command::Completions { shell } => completions(*shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "evenkeel", &mut script);
    say(&String::from_utf8_lossy(&script));
    Exit::Clean
}

/// Read a configuration with its secrets, or say everything that is wrong and how to leave.
fn load_with_secrets(path: &std::path::Path) -> Result<(Loaded<Settings>, Secrets), Exit> {
    let loaded = crate::config::load(path).map_err(|error| complain(&error, Exit::Config))?;
    match crate::config::read_secrets(&loaded.settings) {
        Ok(secrets) => Ok((loaded, secrets)),
        Err(problems) => Err(complain(&ConfigError { file: loaded.file, problems }, Exit::Keys)),
    }
}

/// Tell the operator on standard error.
fn complain(text: &impl std::fmt::Display, exit: Exit) -> Exit {
    let text = text.to_string();
    // Nothing is left to do when the terminal is gone.
    let _unprintable = writeln!(std::io::stderr(), "evenkeel: {}", text.trim_end());
    exit
}

/// Answer on standard output; a reader that has gone away is no error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _unprintable = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A runtime for commands that talk.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| complain(&format!("no threads to run on: {error}"), Exit::Failed))
}

/// A time such as `60s`, `5m`, `1h`, `250ms` or `0`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is no time; allowed is 0 or a whole number with ms, s, m or h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let most = 366 * 24 * 3_600_000;
    number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= most)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=256).contains(jobs));
    jobs.ok_or_else(|| format!("{text:?} is no number of jobs; allowed is 1 to 256"))
}

/// A time that is not nothing.
fn session(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("a session of no time shows nothing; allowed is 1ms or more".to_owned())
        }
        lasts => Ok(lasts),
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let ends = text.split_once("..").map(|(from, to)| (from.trim().parse(), to.trim().parse()));
    match ends {
        Some((Ok(from), Ok(to))) if from < to => Ok(Seeds { from, to }),
        _ => Err(format!("{text:?} is no range of seeds; allowed is A..B with A below B")),
    }
}

fn faults(text: &str) -> Result<Faults, String> {
    match text {
        "all" => Ok(Faults(Kind::ALL.to_vec())),
        "none" => Ok(Faults(Vec::new())),
        list => {
            let kinds = list.split(',').map(|word| {
                let known = Kind::ALL.map(Kind::name).join(", ");
                Kind::named(word.trim()).ok_or_else(|| {
                    format!("{word:?} is no fault; allowed are all, none, or of {known}")
                })
            });
            kinds.collect::<Result<Vec<_>, _>>().map(Faults)
        }
    }
}

fn price(text: &str) -> Result<Money, String> {
    let price = text.parse::<Money>().ok();
    let fits = price.filter(|price| *price > Money::ZERO && *price <= Money::from(1_000_000_000));
    fits.ok_or_else(|| format!("{text:?} is no price; allowed is above 0 to 1000000000"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.01..=1000.0).contains(speed));
    speed.ok_or_else(|| format!("{text:?} is no speed; allowed is 0.01 to 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        for line in [
            "evenkeel demo --for 15s --seed 7 --speed 2 --replay a b",
            "evenkeel run --config x.toml",
            "evenkeel check --config x.toml --online",
            "evenkeel config init --mode testnet --symbol ETHUSDT --output x.toml",
            "evenkeel config schema --exchange",
            "evenkeel config reference",
            "evenkeel status --address 127.0.0.1:1 --json",
            "evenkeel status --config x.toml --explain",
            "evenkeel status --config x.toml --watch",
            "evenkeel completions zsh",
            "evenkeel explain --address 127.0.0.1:1 --json spot:BTCUSDT",
            "evenkeel kill --config x.toml --flatten",
            "evenkeel reload --config x.toml --confirm",
            "evenkeel journal dump --json state",
            "evenkeel guard --config x.toml --patience 3s",
            "evenkeel simulate --seeds 0..10 --for 60s --jobs 1 --faults crash,gap --json",
            "evenkeel compare --seeds 0..20 --for 10m --jobs 1 --json --config x.toml",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        for line in [
            "evenkeel",
            "evenkeel run",
            "evenkeel status",
            "evenkeel demo --for soon",
            "evenkeel simulate --seeds 5..5",
            "evenkeel simulate --seeds 0..5 --faults earthquake",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_err();
        }
    }

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("0", 0),
            ("60s", 60_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("9", 9_000),
            ("250ms", 250),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1d", "-1s", "1.5s", "99999999999999999999s", "99999h"] {
            duration(text).unwrap_err();
        }
    }
}
