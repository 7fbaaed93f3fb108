//! Parse, run, leave with an exit code that a supervisor can read.

fn main() -> std::process::ExitCode {
    evenkeel::cli::main()
}
