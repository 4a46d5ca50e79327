//! The rules on one file: from its path and text to findings.

use crate::source::code_only;
use crate::source::crate_paths;
use crate::source::is_name;
use crate::source::is_name_part;
use crate::source::is_visibility;
use crate::source::macro_calls;
use crate::source::numbered;
use crate::source::texts;
use crate::source::tokens;
use std::path::Path;

/// Bottom first; the position is the number in a file's header. A module may import its own layer
/// and those before it.
const LAYERS: &[&[&str]] = &[
    &["sys", "primitive", "clock", "list", "word"],
    &["stack"],
    &["coroutine"],
    &["hooks", "task"],
    &["scheduler"],
    &["park", "wait_queue", "wait_any", "blocked", "asker", "big_stack"],
    &["scope", "pool", "runtime", "time", "unblock"],
    &["sync", "channel", "csp"],
    &["io", "net", "os", "fs", "process", "signal", "thread", "lowlevel"],
    &["debug", "testing", "guide"],
];

/// What only the scheduler's side of the door may import, and who else may: `runtime` builds and
/// drives the worker, `testing` replaces its clock and its order.
const BELOW_THE_DOOR: &[&str] = &["scheduler", "coroutine", "stack"];
const DOORKEEPERS: &[&str] = &["runtime", "testing"];

/// The jobs that `.ci/run` must have.
pub(crate) const JOBS: &[&str] = &[
    "fmt", "clippy", "doc", "test", "release", "doctest", "examples", "loom", "asan", "syscalls",
    "tidy",
];

/// Lines, header and tests included. A longer file holds two ideas.
pub(crate) const LINES_PER_FILE_MAX: usize = 550;

/// Programs for comparison: packages of their own, no part of this crate.
const PEERS: &str = "benches/peers/";

pub(crate) type Check = fn(path: &str, text: &str) -> Vec<String>;

pub(crate) fn upward_imports(path: &str, text: &str) -> Vec<String> {
    if path == "src/lib.rs" {
        return Vec::new();
    }
    let module = module_of(path);
    let Some(own) = layer_of(module) else {
        return vec![at(path, 1, format!("`{module}` is in no layer of tests/tidy/rules.rs"))];
    };
    let code = code_only(text);
    let judge = |(line, target): (usize, &str)| match layer_of(target) {
        Some(layer) if layer <= own => None,
        Some(layer) => {
            Some(at(path, line, format!("layer {own} names `{target}` of layer {layer}")))
        }
        None if is_name(target) => {
            Some(at(path, line, format!("`crate::{target}` hides its layer: name its module")))
        }
        None => Some(at(path, line, format!("`crate::{target}` hides names: one `use` for each"))),
    };
    crate_paths(&tokens(&code)).into_iter().filter_map(judge).collect()
}

pub(crate) fn climbing_supers(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let tokens = tokens(&code);
    let mut depth = depth_of(path); // of the current line
    let mut braces = Vec::new();
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        match tokens[index].text {
            "{" => {
                let opens_module = index >= 2 && tokens[index - 2].text == "mod";
                depth += usize::from(opens_module);
                braces.push(opens_module);
            }
            "}" => depth -= usize::from(braces.pop().unwrap_or(false)),
            "super" if !is_visibility(&tokens, index) => {
                let line = tokens[index].line;
                let mut steps = 1;
                while texts(&tokens, index + 1, 3) == [":", ":", "super"] {
                    steps += 1;
                    index += 3;
                }
                if steps >= depth {
                    found.push(at(path, line, format!("{steps} `super` from depth {depth}")));
                }
            }
            _ => {}
        }
        index += 1;
    }
    found
}

pub(crate) fn ways_round_the_door(path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    if layer_of(module) <= layer_of("park") || DOORKEEPERS.contains(&module) {
        return Vec::new();
    }
    let code = code_only(text);
    let hidden =
        crate_paths(&tokens(&code)).into_iter().filter(|(_, t)| BELOW_THE_DOOR.contains(t));
    hidden.map(|(line, target)| at(path, line, format!("`{module}` names `{target}`"))).collect()
}

pub(crate) fn foreign_names(path: &str, text: &str) -> Vec<String> {
    let wraps_corosensei = path == "src/coroutine.rs" || module_of(path) == "stack";
    let wraps_mio = path == "src/scheduler/reactor.rs";
    let code = code_only(text);
    let foreign = tokens(&code).into_iter().filter(|token| match token.text {
        "corosensei" => !wraps_corosensei,
        "mio" => !wraps_mio,
        _ => false,
    });
    foreign.map(|token| at(path, token.line, format!("names `{}`", token.text))).collect()
}

pub(crate) fn wrong_header(path: &str, text: &str) -> Vec<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let is_test = file == "tests.rs" || file.ends_with("_tests.rs");
    if path == "src/lib.rs" || is_test {
        return Vec::new();
    }
    // A module of no layer is reported by `upward_imports`.
    let Some(layer) = layer_of(module_of(path)) else { return Vec::new() };
    let mut found = Vec::new();
    let title = text.lines().next().and_then(|line| line.strip_prefix("//! ")?.split_once(": "));
    if !title.is_some_and(|(name, question)| !name.is_empty() && !question.trim().is_empty()) {
        found.push(at(path, 1, "the first line is not `//! Name: what it answers`"));
    }
    let start = format!("//! Layer {layer}. Imports:");
    let mut header = text.lines().take_while(|line| line.starts_with("//!"));
    if !header.any(|line| line.strip_prefix(&start).is_some_and(|list| !list.trim().is_empty())) {
        found.push(at(path, 1, format!("no line `{start} …` in the module's documentation")));
    }
    found
}

pub(crate) fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines <= LINES_PER_FILE_MAX || path.starts_with(PEERS) {
        return Vec::new();
    }
    vec![at(path, lines, format!("{lines} lines; the limit is {LINES_PER_FILE_MAX}"))]
}

pub(crate) fn public_unsafe_functions(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "pub") {
        let rest = tokens[index + 1..].iter().map(|token| token.text);
        let qualifiers: Vec<_> = rest
            .clone()
            .take_while(|t| ["const", "async", "unsafe", "extern"].contains(t))
            .collect();
        let is_function = rest.clone().nth(qualifiers.len()) == Some("fn");
        if is_function && qualifiers.contains(&"unsafe") {
            let name = rest.clone().nth(qualifiers.len() + 1).unwrap_or_default();
            found.push(at(
                path,
                token.line,
                format!("`pub unsafe fn {name}`: restrict it to the crate"),
            ));
        }
    }
    found
}

pub(crate) fn prints(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let calls = macro_calls(&tokens(&code), &["print", "println", "eprint", "eprintln"]);
    calls.into_iter().map(|(line, name)| at(path, line, format!("`{name}!`"))).collect()
}

/// Looks at comments and strings too, which is where such words live.
pub(crate) fn left_open(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let (words, macros) = open_ends();
    let marks = tokens.iter().filter(|token| words.iter().any(|word| word == token.text));
    let mut found: Vec<_> = marks.map(|token| (token.line, token.text)).collect();
    found.extend(macro_calls(&tokens, &macros.each_ref().map(String::as_str)));
    found.into_iter().map(|(line, name)| at(path, line, format!("`{name}`"))).collect()
}

pub(crate) fn ignored_tests(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let mut attribute = match texts(&tokens, index, 3)[..] {
            ["#", "[", "ignore"] | ["#", "[", "cfg_attr"] => tokens[index..].iter(),
            _ => continue,
        };
        if attribute.by_ref().take_while(|t| t.text != "]").any(|t| t.text == "ignore") {
            found.push(at(path, token.line, "an ignored test"));
        }
    }
    found
}

pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let mut roots = vec!["/home/", "/root/", "/Users/", "/tmp/"];
    // The folder that this checkout lies in, if that is not the root of the file system.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::to_str);
    roots.extend(here.filter(|here| here.len() > 1));
    paths_below(&roots, path, text)
}

/// Lines that name one of `roots` as an absolute path; one that ends in no slash must be whole.
pub(crate) fn paths_below(roots: &[&str], path: &str, text: &str) -> Vec<String> {
    let names = |content: &str, root: &str| {
        content.match_indices(root).any(|(start, _)| {
            let before = content[..start].chars().next_back();
            let after = content[start + root.len()..].chars().next();
            let starts = before.is_none_or(|c| c.is_whitespace() || "\"'`([<=:,@".contains(c));
            let ends = root.ends_with('/') || !after.is_some_and(|c| is_name_part(c) || c == '-');
            starts && ends
        })
    };
    numbered(text)
        .filter(|(_, content)| roots.iter().any(|root| names(content, root)))
        .map(|(line, content)| at(path, line, content.trim()))
        .collect()
}

pub(crate) fn wrong_changelog(path: &str, text: &str, version: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut has_version = false;
    let mut later: Option<&str> = None;
    for (line, content) in numbered(text).filter(|(_, content)| content.starts_with("## ")) {
        let Some((name, tail)) = content.strip_prefix("## [").and_then(|rest| rest.split_once(']'))
        else {
            found.push(at(path, line, "a version's heading is `## [version] - date`"));
            continue;
        };
        has_version |= name == "Unreleased" || name == version;
        if name == "Unreleased" {
            continue;
        }
        let date = tail.strip_prefix(" - ").and_then(|tail| tail.split(' ').next());
        let Some(date) = date.filter(|date| is_date(date)) else {
            found.push(at(path, line, format!("`{name}` has no date of the form 2026-05-01")));
            continue;
        };
        if later.is_some_and(|later| date > later) {
            found.push(at(path, line, format!("`{name}` is newer than the version above it")));
        }
        later = Some(date);
    }
    if !has_version {
        found.push(at(path, 1, format!("neither `## [Unreleased]` nor `## [{version}]`")));
    }
    found
}

/// Every `Rust 1.2` of the README counts, with or without emphasis, and there must be one.
pub(crate) fn wrong_rust_version(path: &str, text: &str, version: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut said = false;
    for (line, content) in numbered(text) {
        let plain = content.replace(['`', '*'], "");
        for (start, word) in plain.match_indices("Rust ") {
            let rest = &plain[start + word.len()..];
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest[..length].trim_end_matches('.');
            if !number.contains('.') {
                continue;
            }
            said = true;
            if number != version {
                found.push(at(path, line, format!("says {number}, Cargo.toml says {version}")));
            }
        }
    }
    if !said {
        found.push(at(path, 1, format!("does not say `Rust {version}`")));
    }
    found
}

pub(crate) fn readme_left_out(path: &str, text: &str) -> Vec<String> {
    let attribute = "#![doc = include_str!(\"../README.md\")]";
    if text.lines().any(|line| line.trim() == attribute) {
        return Vec::new();
    }
    vec![at(path, 1, format!("no line `{attribute}`"))]
}

pub(crate) fn missing_jobs(path: &str, text: &str) -> Vec<String> {
    let runs =
        |job: &str| text.lines().any(|line| line.split_whitespace().take(2).eq(["job", job]));
    let missing = JOBS.iter().filter(|job| !runs(job));
    missing.map(|job| at(path, 1, format!("no line begins with `job {job}`"))).collect()
}

fn at(path: &str, line: usize, what: impl AsRef<str>) -> String {
    format!("{path}:{line}: {}", what.as_ref())
}

/// The module right below the crate's root; `src/list_tests.rs` is a part of `list`.
fn module_of(path: &str) -> &str {
    let below_src = path.trim_start_matches("src/");
    let name = below_src.split('/').next().unwrap_or(below_src).trim_end_matches(".rs");
    name.trim_end_matches("_tests")
}

/// How deep a file's module lies: 1 is `crate::name`; `list_tests.rs` is `list`'s child.
fn depth_of(path: &str) -> usize {
    let names = path.trim_start_matches("src/").split('/').count();
    names + usize::from(path.ends_with("_tests.rs")) - usize::from(path.ends_with("/mod.rs"))
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Words and macros that mark unfinished work, put together here so that this file has none.
pub(crate) fn open_ends() -> ([String; 3], [String; 2]) {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), "X".repeat(3)];
    (words, [["to", "do"].concat(), ["unimple", "mented"].concat()])
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.char_indices().all(|(index, c)| match index {
            4 | 7 => c == '-',
            _ => c.is_ascii_digit(),
        })
}
