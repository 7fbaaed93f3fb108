//! What is special about a terminal? Colours, a screen that is redrawn, signs of life. Elsewhere
//! the same words come plain, line by line.

use std::future::Future;
use std::io::{IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::sync::oneshot;

/// Whoever waits longer than this is told for what.
const PATIENCE: Duration = Duration::from_secs(1);

/// Colours are welcome: a terminal, and nobody has set `NO_COLOR` (<https://no-color.org>).
pub(super) fn wants_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
}

/// The state, which is the first word of a status, and whatever is down, in colour.
pub(super) fn paint(text: &str) -> String {
    let state = text.split([' ', '\n', ',']).next().unwrap_or_default();
    let colour = match state {
        "QUOTING" => 32,
        "HALTED" | "STOPPED" => 31,
        _ => 33,
    };
    let rest = text[state.len()..].replace(" down ", " \x1b[31mdown\x1b[0m ");
    format!("\x1b[1;{colour}m{state}\x1b[0m{rest}")
}

/// Does the work; when that takes longer than a second, a terminal says what is waited for.
pub(super) async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut waited = Duration::ZERO;
    loop {
        tokio::select! {
            done = &mut work => {
                if !waited.is_zero() {
                    tell("\r\x1b[2K");
                }
                return done;
            }
            () = tokio::time::sleep(PATIENCE) => {
                waited += PATIENCE;
                tell(&format!("\r\x1b[2K{what}… {} s", waited.as_secs()));
            }
        }
    }
}

fn tell(text: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // Nothing is left to do when the terminal is gone.
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }
}

/// A terminal's screen while it is redrawn; as it was before once this is dropped.
pub(super) struct Screen {
    settings: Option<String>,
    quit: Option<oneshot::Receiver<()>>,
}

impl Screen {
    /// Take the screen, if standard output is one.
    pub(super) fn take() -> Option<Screen> {
        std::io::stdout().is_terminal().then(|| {
            let keys = std::io::stdin().is_terminal();
            let settings = if keys { stty(&["-g"]) } else { None };
            if settings.is_some() {
                stty(&["-icanon", "-echo"]);
            }
            super::say("\x1b[?1049h\x1b[?7l\x1b[?25l");
            Screen { settings, quit: keys.then(listen_for_q) }
        })
    }

    /// Show a text in place of the last.
    pub(super) fn draw(&self, text: &str) {
        super::say(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")));
    }

    /// Ends when `q` is typed.
    pub(super) async fn quit(&mut self) {
        if let Some(quit) = &mut self.quit {
            let typed = quit.await.is_ok();
            // An answer comes once; a keyboard that is gone ends nothing.
            self.quit = None;
            if typed {
                return;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        super::say("\x1b[?25h\x1b[?7h\x1b[?1049l");
        if let Some(settings) = &self.settings {
            stty(&[settings]);
        }
    }
}

fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Reading the keyboard blocks, so a thread does it; it ends with the process.
fn listen_for_q() -> oneshot::Receiver<()> {
    let (typed, quit) = oneshot::channel();
    std::thread::spawn(move || {
        let mut key = [0];
        while let Ok(1) = std::io::stdin().read(&mut key) {
            if key.eq_ignore_ascii_case(b"q") {
                // Whoever listens may have ended already.
                typed.send(()).unwrap_or_default();
                return;
            }
        }
    });
    quit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paint_adds_colour_and_nothing_else() {
        for text in ["QUOTING   now\nspot  down  up\n", "HALTED (operator: x)\n", "", "\n"] {
            let painted = paint(text);
            let plain = painted.replace("\x1b[0m", "").replace("\x1b[31m", "");
            let plain = ["\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m"]
                .iter()
                .fold(plain, |text, code| text.replace(code, ""));
            assert_eq!(plain, text);
        }
        assert!(paint("QUOTING x").starts_with("\x1b[1;32mQUOTING\x1b[0m x"));
    }
}
