//! `config`: what may be written, for editors and for people, and a file to begin with.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, complain, say};
use crate::config::starter::{Answers, starter};
use crate::config::{FileKind, Mode};
use crate::domain::Money;

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// A commented configuration to begin with; asks on a terminal for what is not given
    Init(InitArgs),
    /// The JSON Schema, for completion in editors
    Schema {
        /// Of the local exchange's file
        #[arg(long)]
        exchange: bool,
    },
    /// Every key with kind, bounds, default, meaning and what a reload does with it (Markdown)
    Reference,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// local (an exchange on this machine) or testnet (play money)
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// What to quote, such as BTCUSDT
    #[arg(long, value_parser = symbol)]
    symbol: Option<String>,
    /// How far inventory may go, base units
    #[arg(long, value_name = "BASE", value_parser = amount)]
    inventory_limit: Option<Money>,
    /// Where to write it; standard output if absent. An existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn config(args: &ConfigArgs) -> Exit {
    match &args.command {
        ConfigCommand::Init(args) => init(args),
        ConfigCommand::Schema { exchange } => {
            let kind = if *exchange { FileKind::Exchange } else { FileKind::Daemon };
            say(&format!("{:#}\n", kind.schema()));
            Exit::Clean
        }
        ConfigCommand::Reference => {
            say(&crate::config::reference());
            Exit::Clean
        }
    }
}

fn init(args: &InitArgs) -> Exit {
    let answers = Answers {
        mode: answer(args.mode, "mode, local or testnet", "local", mode),
        symbol: answer(args.symbol.clone(), "symbol", "BTCUSDT", symbol),
        inventory_limit_base: answer(
            args.inventory_limit,
            "how far inventory may go, base units",
            "0.01",
            amount,
        ),
    };
    let text = starter(&answers);
    let Some(path) = &args.output else {
        say(&text);
        return Exit::Clean;
    };
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            say(&format!("{0} is written; next: evenkeel check --config {0}\n", path.display()));
            Exit::Clean
        }
        Err(error) => complain(&format!("{}: {error}", path.display()), Exit::Failed),
    }
}

/// What was given, or what a person on a terminal says, or the default.
fn answer<T>(
    given: Option<T>,
    question: &str,
    default: &str,
    read: fn(&str) -> Result<T, String>,
) -> T {
    if let Some(given) = given {
        return given;
    }
    let fallback = || read(default).expect("every default is an answer");
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return fallback();
    }
    loop {
        // The question goes where the file does not.
        drop(write!(std::io::stderr(), "{question} [{default}]: "));
        let mut line = String::new();
        if !std::io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0) {
            return fallback();
        }
        let said = line.trim();
        match read(if said.is_empty() { default } else { said }) {
            Ok(value) => return value,
            Err(why) => drop(writeln!(std::io::stderr(), "{why}")),
        }
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "local" => Ok(Mode::Local),
        "testnet" => Ok(Mode::Testnet),
        _ => Err(format!("{text:?} is no mode to begin with; allowed is local or testnet")),
    }
}

fn symbol(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is no symbol, such as BTCUSDT")) }
}

fn amount(text: &str) -> Result<Money, String> {
    let amount = text.parse::<Money>().ok().filter(|amount| *amount > Money::ZERO);
    amount.ok_or_else(|| format!("{text:?} is no amount above zero"))
}
