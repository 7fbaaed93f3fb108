//! The rules of the house: layers, words that pure modules may not use, sizes, documents.

use std::fs;
use std::path::{Path, PathBuf};

/// Module → what of ours it may import, lowest first. `domain` is for everybody.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("market", &["domain"]),
    ("inventory", &["domain"]),
    ("quoting", &["domain"]),
    ("risk", &["domain"]),
    ("orders", &["domain"]),
    ("journal", &["domain"]),
    ("engine", &["domain", "market", "inventory", "quoting", "risk", "orders"]),
    ("venues", &["domain"]),
    ("sim", &["domain", "venues"]),
    ("live", &["domain", "engine", "venues", "sim", "journal"]),
    ("config", ALL_ABOVE),
    ("report", &["domain", "engine", "inventory"]),
    ("telemetry", &["domain", "live"]),
    (
        "simulate",
        &["domain", "inventory", "orders", "engine", "venues", "sim", "journal", "config"],
    ),
    ("cli", ALL_ABOVE),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Whatever stands in the table before it.
const ALL_ABOVE: &[&str] = &["*"];

/// Modules in which nothing awaits, reads a clock, opens anything or writes a line.
const PURE: &[&str] = &[
    "domain",
    "market",
    "inventory",
    "quoting",
    "risk",
    "orders",
    "engine",
    "venues",
    "sim",
    "simulate",
];

const BANNED_IN_PURE: &[&str] = &[
    "tokio",
    "async fn",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "println!",
    "eprintln!",
    "tracing::",
    "reqwest",
];

const MAX_FUNCTION_LINES: usize = 70;
const MAX_FILE_LINES: usize = 800;

/// A module's name, a file's path, its text.
struct Source {
    module: String,
    path: PathBuf,
    text: String,
}

fn sources(root: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                found.push(Source { module, text: fs::read_to_string(&path).unwrap(), path });
            }
        }
    }
    found
}

/// The lines that are code, with their numbers: no comments, and nothing after `mod tests`.
fn code(text: &str) -> Vec<(usize, String)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("mod tests") && !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, without_texts(line)))
        .collect()
}

/// A line without its comment and without what stands in quotation marks.
fn without_texts(line: &str) -> String {
    let mut out = String::new();
    let mut in_text = false;
    let mut last = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if last != '\\' && last != '\'' => in_text = !in_text,
            '/' if !in_text && chars.peek() == Some(&'/') => break,
            _ if !in_text => out.push(c),
            _ => {}
        }
        last = if last == '\\' && c == '\\' { ' ' } else { c };
    }
    out
}

/// The modules of ours that a line names: `crate::x::…`, `crate::{x, y}`, `evenkeel::x`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in line.match_indices("crate::").chain(line.match_indices("evenkeel::")) {
        let rest = &line[at + start.len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let word: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !word.is_empty() {
                found.push(word);
            }
        }
    }
    found
}

fn layer_problems(source: &Source) -> Vec<String> {
    let Some(layer) = LAYERS.iter().position(|(module, _)| *module == source.module) else {
        return vec![format!("{}: module {} has no layer", source.path.display(), source.module)];
    };
    let allowed: Vec<&str> = match LAYERS[layer].1 {
        ALL_ABOVE => LAYERS[..layer].iter().map(|(module, _)| *module).collect(),
        named => named.to_vec(),
    };
    let mut problems = Vec::new();
    for (number, line) in code(&source.text) {
        for name in imports(&line) {
            let known = LAYERS.iter().any(|(module, _)| *module == name);
            if known && name != source.module && !allowed.contains(&name.as_str()) {
                problems.push(format!(
                    "{}:{number}: {} may not import {name}; allowed are {allowed:?}",
                    source.path.display(),
                    source.module
                ));
            }
        }
    }
    problems
}

#[test]
fn lower_never_imports_higher_and_siblings_never_each_other() {
    let problems: Vec<String> = sources("src").iter().flat_map(layer_problems).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_layer_test_bites() {
    let source = |module: &str, text: &str| Source {
        module: module.into(),
        path: "x.rs".into(),
        text: text.into(),
    };
    assert_eq!(layer_problems(&source("inventory", "use crate::engine::Engine;")).len(), 1);
    assert_eq!(layer_problems(&source("orders", "let x = crate::risk::gate();")).len(), 1);
    assert_eq!(layer_problems(&source("market", "use crate::{domain::Px, quoting};")).len(), 1);
    assert_eq!(layer_problems(&source("config", "use crate::{live, telemetry};")).len(), 1);
    assert!(
        layer_problems(&source("inventory", "// crate::engine\nuse crate::domain::Px;")).is_empty()
    );
    assert!(layer_problems(&source("inventory", "let s = \"crate::engine\";")).is_empty());
}

#[test]
fn pure_modules_are_pure() {
    let mut problems = Vec::new();
    for source in sources("src").iter().filter(|s| PURE.contains(&s.module.as_str())) {
        for (number, line) in code(&source.text) {
            for word in BANNED_IN_PURE.iter().filter(|word| line.contains(*word)) {
                problems.push(format!("{}:{number}: `{word}`", source.path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_fits() {
    let mut problems = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        let path = source.path.display();
        let head = source.text.lines().find(|l| !l.starts_with("#!")).unwrap_or_default();
        if !head.starts_with("//! ") {
            problems.push(format!("{path}: begins without a module comment"));
        }
        let lines = source.text.lines().count();
        if lines > MAX_FILE_LINES {
            problems.push(format!("{path}: {lines} lines; allowed are {MAX_FILE_LINES}"));
        }
        for (name, lines) in long_functions(&source.text) {
            problems.push(format!(
                "{path}: {name} has {lines} lines; allowed are {MAX_FUNCTION_LINES}"
            ));
        }
        for word in
            ["TO", "FIX", "X"].iter().zip(["DO", "ME", "XX"]).map(|(a, b)| format!("{a}{b}"))
        {
            if source.text.split(|c: char| !c.is_alphanumeric()).any(|w| w == word) {
                problems.push(format!("{path}: leaves a {word}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Functions that do not fit a screen: from `fn` to the brace at the same indent. Tables of cases
/// in tests are data and may be long.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let is_fn =
            ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|head| bare.starts_with(head));
        let is_test = start > 0 && lines[start - 1].trim() == "#[test]";
        if !is_fn || is_test || bare.ends_with(';') || bare.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - bare.len()]);
        let length = lines[start..].iter().position(|l| *l == end).map_or(0, |n| n + 1);
        if length > MAX_FUNCTION_LINES {
            found.push((bare.split('(').next().unwrap_or_default().to_owned(), length));
        }
    }
    found
}

/// Whether a test of that name exists: `a::b::name` is in `a/b.rs`, under `tests/it` or `src`.
fn is_a_test(name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").unwrap();
    let module = module.strip_suffix("::tests").unwrap_or(module).replace("::", "/");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let whole = name.rsplit_once("::").unwrap().0.replace("::", "/");
    let mut files = ["tests/it", "src"].into_iter().flat_map(|dir| {
        [format!("{module}.rs"), format!("{module}/mod.rs"), format!("{whole}.rs")]
            .map(|file| root.join(dir).join(file))
    });
    files.any(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.iter().enumerate().any(|(number, line)| {
            line.starts_with(&format!("fn {function}(")) && {
                let above = lines[..number].iter().rev();
                above.take_while(|line| line.starts_with("#[")).any(|line| *line == "#[test]")
            }
        })
    })
}

#[test]
fn every_test_on_the_page_of_controls_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/controls.md");
    let text = fs::read_to_string(page).unwrap();
    let names: Vec<&str> =
        text.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    assert!(names.len() > 60, "{} names", names.len());
    let missing: Vec<&&str> = names.iter().filter(|name| !is_a_test(name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
    assert!(!is_a_test("tidy::no_such_test") && !is_a_test("tidy::is_a_test"), "it bites");
}
