//! `journal dump`: the record of what was intended, sent and learnt.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, complain};
use crate::journal::{DumpError, dump};

/// Arguments of `journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Write all records of a journal directory to standard output
    Dump {
        /// One JSON object a line: the only form there is so far
        #[arg(long, required = true)]
        json: bool,
        /// The journal directory
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Write the journal out; what a crash tore off at the end is told on standard error.
pub(super) fn journal(args: &JournalArgs) -> Exit {
    let JournalCommand::Dump { json: _, dir } = &args.command;
    let mut out = BufWriter::new(std::io::stdout().lock());
    match dump(dir, &mut out) {
        Ok(summary) if summary.torn > 0 => complain(
            &format!("{} records; {} segments end in a torn line", summary.records, summary.torn),
            Exit::Clean,
        ),
        Ok(_) => match out.flush() {
            Ok(()) => Exit::Clean,
            Err(error) => ended(&error),
        },
        Err(DumpError::Write(error)) => ended(&error),
        Err(error) => complain(&error, Exit::Failed),
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn ended(error: &std::io::Error) -> Exit {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Exit::Clean
    } else {
        complain(&format!("output: {error}"), Exit::Failed)
    }
}
