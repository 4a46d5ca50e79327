//! Rules about the source text that neither rustc nor clippy checks.
//!
//! Each rule is a function from a file's path and text to findings, a test that runs it over the
//! tree, and a test that feeds it a bad sample: a check that cannot fail is worthless.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Bottom first; the position is the number in a file's header. A module may import its own layer
/// and those before it.
const LAYERS: &[&[&str]] = &[
    &["sys", "primitive", "clock", "list", "word"],
    &["stack"],
    &["coroutine"],
    &["hooks", "task"],
    &["scheduler"],
    &["park", "wait_queue"],
    &["scope", "pool", "runtime", "time"],
    &["sync", "channel"],
    &["io", "net", "os", "fs", "process", "signal", "thread", "lowlevel"],
    &["debug", "testing"],
];

/// What only the scheduler's side of the door may import, and who else may: `runtime` builds and
/// drives the worker, `testing` replaces its clock and its order.
const BELOW_THE_DOOR: &[&str] = &["scheduler", "coroutine", "stack"];
const DOORKEEPERS: &[&str] = &["runtime", "testing"];

/// The jobs that `.ci/run` must have.
const JOBS: &[&str] =
    &["fmt", "clippy", "doc", "test", "release", "doctest", "examples", "loom", "asan", "tidy"];

/// Lines, header and tests included. A longer file holds two ideas.
const LINES_PER_FILE_MAX: usize = 550;

const SOURCE: &[&str] = &["src"];
const ALL_CODE: &[&str] = &["src", "tests", "examples", "benches"];

// ---- The rules over the tree ----------------------------------------------------------------

#[test]
fn imports_point_downwards() {
    holds("a lower layer names a higher one", SOURCE, ".rs", upward_imports);
}

#[test]
fn no_super_leaves_its_top_level_module() {
    holds("`super` leaves the module: write `crate::name`", SOURCE, ".rs", climbing_supers);
}

#[test]
fn above_the_door_only_the_runtime_knows_the_scheduler() {
    holds("this belongs below `park`", SOURCE, ".rs", ways_round_the_door);
}

#[test]
fn corosensei_and_mio_are_named_where_they_are_wrapped() {
    holds("a foreign crate is named outside of its wrapper", SOURCE, ".rs", foreign_names);
}

#[test]
fn every_file_says_its_name_and_its_layer() {
    holds("a file's header is missing or wrong", SOURCE, ".rs", wrong_header);
}

#[test]
fn no_source_file_is_too_long() {
    holds("a file holds more than one idea", SOURCE, ".rs", too_long);
}

#[test]
fn no_unsafe_function_is_public() {
    holds("a caller cannot keep this contract", SOURCE, ".rs", public_unsafe_functions);
}

#[test]
fn the_library_prints_nothing() {
    holds("a library logs, it does not print", SOURCE, ".rs", prints);
}

#[test]
fn nothing_is_left_open() {
    holds("finish it, or say the issue's number in a sentence", ALL_CODE, "", left_open);
}

#[test]
fn no_test_is_switched_off() {
    holds("a flaky test is mended or removed", ALL_CODE, ".rs", ignored_tests);
}

#[test]
fn no_text_names_a_directory_of_one_machine() {
    let roots = &["src", "asm-notes", "README.md", "benches"];
    holds("this path exists on one machine only", roots, "", machine_paths);
}

#[test]
fn the_changelog_has_this_version_and_descending_dates() {
    let manifest = read("Cargo.toml");
    let version = manifest_field(&manifest, "version").expect("Cargo.toml: no version");
    let found = wrong_changelog("CHANGELOG.md", &read("CHANGELOG.md"), version);
    assert_none("the changelog does not fit", &found);
}

#[test]
fn the_readme_states_the_rust_version_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let version = manifest_field(&manifest, "rust-version").expect("Cargo.toml: no rust-version");
    let found = wrong_rust_version("README.md", &read("README.md"), version);
    assert_none("README and Cargo.toml differ", &found);
}

#[test]
fn the_readme_is_the_front_page_of_the_docs() {
    holds("README and docs would part company", &["src/lib.rs"], ".rs", readme_left_out);
}

#[test]
fn ci_runs_every_job() {
    assert_none("a job is missing", &missing_jobs(".ci/run", &read(".ci/run")));
}

// ---- The rules on one file: (path, text) to findings ------------------------------------------

type Check = fn(path: &str, text: &str) -> Vec<String>;

fn upward_imports(path: &str, text: &str) -> Vec<String> {
    if path == "src/lib.rs" {
        return Vec::new();
    }
    let module = module_of(path);
    let Some(own) = layer_of(module) else {
        return vec![at(path, 1, format!("`{module}` is in no layer of tests/tidy.rs"))];
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

fn climbing_supers(path: &str, text: &str) -> Vec<String> {
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

fn ways_round_the_door(path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    if layer_of(module) <= layer_of("park") || DOORKEEPERS.contains(&module) {
        return Vec::new();
    }
    let code = code_only(text);
    let hidden =
        crate_paths(&tokens(&code)).into_iter().filter(|(_, t)| BELOW_THE_DOOR.contains(t));
    hidden.map(|(line, target)| at(path, line, format!("`{module}` names `{target}`"))).collect()
}

fn foreign_names(path: &str, text: &str) -> Vec<String> {
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

fn wrong_header(path: &str, text: &str) -> Vec<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let is_test = file == "tests.rs" || file.ends_with("_tests.rs");
    if path == "src/lib.rs" || is_test {
        return Vec::new();
    }
    let Some(layer) = layer_of(module_of(path)) else { return Vec::new() }; // reported by the imports
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

fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines <= LINES_PER_FILE_MAX {
        return Vec::new();
    }
    vec![at(path, lines, format!("{lines} lines; the limit is {LINES_PER_FILE_MAX}"))]
}

fn public_unsafe_functions(path: &str, text: &str) -> Vec<String> {
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

fn prints(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let calls = macro_calls(&tokens(&code), &["print", "println", "eprint", "eprintln"]);
    calls.into_iter().map(|(line, name)| at(path, line, format!("`{name}!`"))).collect()
}

/// Looks at comments and strings too, which is where such words live.
fn left_open(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let (words, macros) = open_ends();
    let marks = tokens.iter().filter(|token| words.iter().any(|word| word == token.text));
    let mut found: Vec<_> = marks.map(|token| (token.line, token.text)).collect();
    found.extend(macro_calls(&tokens, &macros.each_ref().map(String::as_str)));
    found.into_iter().map(|(line, name)| at(path, line, format!("`{name}`"))).collect()
}

fn ignored_tests(path: &str, text: &str) -> Vec<String> {
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

fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let mut roots = vec!["/home/", "/root/", "/Users/", "/tmp/"];
    // The folder that this checkout lies in, if that is not the root of the file system.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::to_str);
    roots.extend(here.filter(|here| here.len() > 1));
    paths_below(&roots, path, text)
}

/// Lines that name one of `roots` as an absolute path; one that ends in no slash must be whole.
fn paths_below(roots: &[&str], path: &str, text: &str) -> Vec<String> {
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

fn wrong_changelog(path: &str, text: &str, version: &str) -> Vec<String> {
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
fn wrong_rust_version(path: &str, text: &str, version: &str) -> Vec<String> {
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

fn readme_left_out(path: &str, text: &str) -> Vec<String> {
    let attribute = "#![doc = include_str!(\"../README.md\")]";
    if text.lines().any(|line| line.trim() == attribute) {
        return Vec::new();
    }
    vec![at(path, 1, format!("no line `{attribute}`"))]
}

fn missing_jobs(path: &str, text: &str) -> Vec<String> {
    let runs =
        |job: &str| text.lines().any(|line| line.split_whitespace().take(2).eq(["job", job]));
    let missing = JOBS.iter().filter(|job| !runs(job));
    missing.map(|job| at(path, 1, format!("no line begins with `job {job}`"))).collect()
}

// ---- What the rules are made of ---------------------------------------------------------------

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
fn open_ends() -> ([String; 3], [String; 2]) {
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

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(is_name_part)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'text> {
    line: usize,
    /// A whole word, or one other character.
    text: &'text str,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (line, content) in numbered(code) {
        let mut rest = content.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match rest.find(|c| !is_name_part(c)) {
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => rest.len(),
            };
            let (text, tail) = rest.split_at(length);
            found.push(Token { line, text });
            rest = tail.trim_start();
        }
    }
    found
}

fn texts<'text>(tokens: &[Token<'text>], start: usize, count: usize) -> Vec<&'text str> {
    tokens.iter().skip(start).take(count).map(|token| token.text).collect()
}

/// Whether the `super` at `index` is the one of `pub(super)`.
fn is_visibility(tokens: &[Token<'_>], index: usize) -> bool {
    index >= 2
        && texts(tokens, index - 2, 2) == ["pub", "("]
        && texts(tokens, index + 1, 1) == [")"]
}

/// What stands behind each `crate::`, in `use` and in expressions; macros have no layer.
fn crate_paths<'text>(tokens: &[Token<'text>]) -> Vec<(usize, &'text str)> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let names_us = ["crate", "giambio"].contains(&token.text);
        if !names_us || texts(tokens, index + 1, 2) != [":", ":"] {
            continue;
        }
        let behind = texts(tokens, index + 3, 2);
        if let Some(target) = behind.first().filter(|_| behind.last() != Some(&"!")) {
            found.push((token.line, *target));
        }
    }
    found
}

fn macro_calls<'text>(tokens: &[Token<'text>], names: &[&str]) -> Vec<(usize, &'text str)> {
    let calls =
        tokens.windows(2).filter(|pair| pair[1].text == "!" && names.contains(&pair[0].text));
    calls.map(|pair| (pair[0].line, pair[0].text)).collect()
}

/// The text with comments and literals blanked; every line keeps its number.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_length(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (literal, tail) = rest.split_at(skipped);
            code.extend(literal.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = tail;
        }
    }
    code
}

/// The bytes of the comment, string or character that `text` begins with, or 0.
fn literal_length(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        block_comment_length(text)
    } else if text.starts_with('"') {
        string_length(text)
    } else if text.starts_with('\'') {
        character_length(text)
    } else if text.starts_with('r') && !before.is_some_and(|c| is_name_part(c) && !"bc".contains(c))
    {
        raw_string_length(text)
    } else {
        0
    }
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut index = 0;
    while index < text.len() {
        let step = match text.as_bytes()[index..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        index += step.0;
        depth += step.1;
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        // `'\''`, `'\\'` and `'\u{41}'`: the closing quote is never right after the backslash.
        (Some((_, '\\')), Some((index, escaped))) => {
            let start = index + escaped.len_utf8();
            text[start..].find('\'').map_or(text.len(), |quote| start + quote + 1)
        }
        (Some(_), Some((index, '\''))) => index + 1,
        _ => 0,
    }
}

/// 0 for a raw name such as `r#type`, and for a name that begins with an r.
fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let Some(content) = text[1 + hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |start| start + end.len());
    text.len() - content.len() + length
}

// ---- The tree -----------------------------------------------------------------------------------

#[track_caller]
fn holds(complaint: &str, roots: &[&str], suffix: &str, check: Check) {
    let mut seen = 0;
    let mut found = Vec::new();
    for path in files(roots).into_iter().filter(|path| path.ends_with(suffix)) {
        let Ok(text) = fs::read_to_string(&path) else { continue }; // not text
        seen += 1;
        found.extend(check(&path, &text));
    }
    assert!(seen > 0, "there is no `*{suffix}` below {roots:?}: this rule has seen nothing");
    assert_none(complaint, &found);
}

#[track_caller]
fn assert_none(complaint: &str, found: &[String]) {
    assert!(found.is_empty(), "{complaint}:\n{}", found.join("\n"));
}

#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest_field<'text>(manifest: &'text str, name: &str) -> Option<&'text str> {
    let value =
        manifest.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='))?;
    value.split('"').nth(1)
}

/// The files below `roots` that git knows or would add; all of them where there is no git.
fn files(roots: &[&str]) -> Vec<String> {
    let mut paths = files_of_git(roots).unwrap_or_default();
    if paths.is_empty() {
        roots.iter().for_each(|root| walk(Path::new(root), &mut paths));
    }
    paths.sort();
    paths.dedup();
    paths
}

fn files_of_git(roots: &[&str]) -> Option<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
    let output = Command::new("git").args(arguments).args(roots).output().ok()?;
    let list = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let paths = list.split_terminator('\0').filter(|path| Path::new(path).is_file());
    Some(paths.map(str::to_owned).collect())
}

fn walk(path: &Path, paths: &mut Vec<String>) {
    if path.is_file() {
        paths.push(path.to_string_lossy().replace('\\', "/"));
    } else if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.map(|entry| entry.expect("a readable directory").path()) {
            if !entry.ends_with("target") {
                walk(&entry, paths);
            }
        }
    }
}

// ---- Each rule on a bad sample --------------------------------------------------------------------

/// Expects one finding for each of `lines`, in their order.
#[track_caller]
fn rejects(check: Check, path: &str, text: &str, lines: &[usize]) {
    assert_places(path, lines, &check(path, text));
}

#[track_caller]
fn assert_places(path: &str, lines: &[usize], found: &[String]) {
    let places: Vec<_> = lines.iter().map(|line| format!("{path}:{line}: ")).collect();
    let fits = found.iter().zip(&places).all(|(finding, place)| finding.starts_with(place));
    assert!(fits && found.len() == places.len(), "expected {places:?}, found {found:#?}");
}

#[track_caller]
fn accepts(check: Check, path: &str, text: &str) {
    rejects(check, path, text, &[]);
}

#[test]
fn comments_and_literals_are_not_code() {
    let lines = [
        "a // crate::x",
        "b /* crate:: /* nested */ \n crate:: */ c",
        "d \"// no comment, \\\" no end\" e",
        "f r#\"a \" quote\"# g br\"\\\" h",
        "i '\"' '\\'' '\\\\' '\\u{41}' 'é' j::<'k>() r#type",
    ];
    let code = code_only(&lines.join("\n"));
    let words: Vec<_> =
        tokens(&code).iter().filter(|t| is_name(t.text)).map(|t| (t.line, t.text)).collect();
    let expected = [
        (1, "a"),
        (2, "b"),
        (3, "c"),
        (4, "d"),
        (4, "e"),
        (5, "f"),
        (5, "g"),
        (5, "b"),
        (5, "h"),
        (6, "i"),
        (6, "j"),
        (6, "k"),
        (6, "r"),
        (6, "type"),
    ];
    assert_eq!(words, expected);
}

#[test]
fn upward_imports_are_found() {
    rejects(upward_imports, "src/park.rs", "use crate::scope::Scope;", &[1]);
    rejects(
        upward_imports,
        "src/task/mod.rs",
        "\nlet a = f(crate::sys::x(), crate::pool::y());",
        &[2],
    );
    rejects(upward_imports, "src/pool.rs", "use crate::{park, task};", &[1]);
    rejects(upward_imports, "src/pool.rs", "use crate::\n    {park, net};", &[1]);
    rejects(upward_imports, "src/pool.rs", "use crate::*;", &[1]);
    rejects(upward_imports, "src/pool.rs", "crate::sleep(second); giambio::net::f();", &[1, 1]);
    rejects(upward_imports, "src/park.rs", "macro_rules! m { () => { $crate::pool::f() } }", &[1]);
    rejects(upward_imports, "src/helpers.rs", "fn f() {}", &[1]);
    rejects(upward_imports, "src/list_tests.rs", "use crate::task::Core;", &[1]);
    accepts(upward_imports, "src/lib.rs", "pub use crate::pool::pool;");
    accepts(upward_imports, "src/pool.rs", "use crate::scope::Scope; // crate::net looks up");
    accepts(
        upward_imports,
        "src/net/tcp.rs",
        "/* crate::testing */ crate::io::f(\"crate::debug\");",
    );
    accepts(upward_imports, "src/sync/mod.rs", "pub(crate) fn f() { crate::local_macro!(); }");
}

#[test]
fn climbing_supers_are_found() {
    rejects(climbing_supers, "src/park.rs", "use super::pool;", &[1]);
    rejects(climbing_supers, "src/io/mod.rs", "\nfn f() { super::net::g() }", &[2]);
    rejects(climbing_supers, "src/io/copy.rs", "use super::super::net;", &[1]);
    rejects(climbing_supers, "src/park.rs", "mod tests { use super::super::pool; }", &[1]);
    rejects(climbing_supers, "src/park.rs", "mod tests { fn f() {} }\nuse super::pool;", &[2]);
    accepts(climbing_supers, "src/park.rs", "pub(super) fn f() {} mod tests { use super::*; }");
    accepts(climbing_supers, "src/list_tests.rs", "use super::List;");
    accepts(climbing_supers, "src/io/copy.rs", "use super::Io; // not super::super::net");
    accepts(climbing_supers, "src/os/unix/net/stream.rs", "use super::super::super::common;");
}

#[test]
fn ways_round_the_door_are_found() {
    rejects(ways_round_the_door, "src/scope.rs", "use crate::scheduler::Worker;", &[1]);
    rejects(ways_round_the_door, "src/net/tcp.rs", "\nlet s = crate::stack::Stack::new();", &[2]);
    rejects(ways_round_the_door, "src/debug/dump.rs", "use crate::coroutine::resume;", &[1]);
    accepts(ways_round_the_door, "src/runtime.rs", "use crate::scheduler::Worker;");
    accepts(ways_round_the_door, "src/testing/clock.rs", "use crate::scheduler::Worker;");
    accepts(ways_round_the_door, "src/wait_queue.rs", "use crate::scheduler::Worker;");
    accepts(ways_round_the_door, "src/pool.rs", "use crate::park::park;");
}

#[test]
fn foreign_names_are_found() {
    rejects(
        foreign_names,
        "src/pool.rs",
        "use mio::Token;\nfn f(c: corosensei::Yielder) {}",
        &[1, 2],
    );
    rejects(foreign_names, "src/scheduler/mod.rs", "use mio as poller;", &[1]);
    rejects(foreign_names, "src/scheduler/reactor.rs", "use corosensei::stack::Stack;", &[1]);
    accepts(foreign_names, "src/scheduler/reactor.rs", "use mio::Token;");
    accepts(foreign_names, "src/coroutine.rs", "use corosensei::Yielder;");
    accepts(foreign_names, "src/stack/mod.rs", "use corosensei::stack::Stack;");
    accepts(foreign_names, "src/pool.rs", "// mio::Token\nlet name = \"corosensei\";");
}

#[test]
fn wrong_headers_are_found() {
    let good =
        "//! Timers: who wakes when.\n//!\n//! Layer 4. Imports: task, clock. Never: scopes.\n";
    accepts(wrong_header, "src/scheduler/timers.rs", good);
    accepts(wrong_header, "src/lib.rs", "");
    accepts(wrong_header, "src/list/tests.rs", "");
    accepts(wrong_header, "src/task/phase_tests.rs", "");
    rejects(wrong_header, "src/park.rs", good, &[1]);
    rejects(wrong_header, "src/scheduler/timers.rs", "use std::io;\n", &[1, 1]);
    rejects(wrong_header, "src/scheduler/timers.rs", &good.replace("Timers: who", "Who"), &[1]);
    rejects(
        wrong_header,
        "src/scheduler/timers.rs",
        &good.replace("//! Layer", "fn f() {}\n//! Layer"),
        &[1],
    );
}

#[test]
fn too_long_files_are_found() {
    accepts(too_long, "src/pool.rs", &"\n".repeat(LINES_PER_FILE_MAX));
    rejects(
        too_long,
        "src/pool.rs",
        &"\n".repeat(LINES_PER_FILE_MAX + 1),
        &[LINES_PER_FILE_MAX + 1],
    );
}

#[test]
fn public_unsafe_functions_are_found() {
    let check = public_unsafe_functions;
    rejects(check, "src/list.rs", "impl List {\n    pub unsafe fn unlink(&self) {}\n}", &[2]);
    rejects(check, "src/list.rs", "pub const unsafe fn f() {}", &[1]);
    rejects(check, "src/list.rs", "pub unsafe extern \"C\" fn f() {}", &[1]);
    accepts(check, "src/list.rs", "pub(crate) unsafe fn f() {} pub(super) unsafe fn g() {}");
    accepts(check, "src/list.rs", "pub fn f() { unsafe { g() } } unsafe fn g() {}");
}

#[test]
fn prints_are_found() {
    rejects(prints, "src/pool.rs", "fn f() {\n    println!(\"x\");\n    eprintln!();\n}", &[2, 3]);
    accepts(prints, "src/pool.rs", "/// println!(\"{x}\");\nfn f() { log::info!(\"print!\") }");
}

#[test]
fn open_ends_are_found() {
    let (words, macros) = open_ends();
    for word in words {
        rejects(left_open, "examples/a.rs", &format!("fn f() {{}}\n// {word}: later"), &[2]);
        accepts(left_open, "examples/a.rs", &format!("let template = \"{word}X\";"));
    }
    for name in macros {
        rejects(left_open, "tests/it/pool.rs", &format!("fn f() {{ {name}!() }}"), &[1]);
        accepts(left_open, "tests/it/pool.rs", &format!("// what is {name} there"));
    }
}

#[test]
fn ignored_tests_are_found() {
    rejects(ignored_tests, "tests/it/pool.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[2]);
    rejects(ignored_tests, "src/list/tests.rs", "#[cfg_attr(miri, ignore)]", &[1]);
    accepts(
        ignored_tests,
        "tests/it/pool.rs",
        "#[cfg_attr(miri, expect(x))]\nfn f() { ignore(1) }",
    );
}

#[test]
fn machine_paths_are_found() {
    rejects(machine_paths, "README.md", "cd /root/x\nsee `/home/me/x` and \"/tmp/y\"", &[1, 2]);
    rejects(machine_paths, "benches/peers/run.py", "PATH = '/home/me/env/bin'", &[1]);
    let below_one: Check = |path, text| paths_below(&["/tmp/", "/checkouts"], path, text);
    rejects(below_one, "README.md", "cd /checkouts\nls '/checkouts/x'", &[1, 2]);
    accepts(below_one, "README.md", "target/tmp/ ~/checkouts https://a.b/tmp/ $D/tmp/x");
    accepts(below_one, "README.md", "/checkouts2 /checkouts-of-others /proc/self/maps");
}

#[test]
fn a_wrong_changelog_is_found() {
    let check = |text: &str, lines: &[usize]| {
        assert_places("C", lines, &wrong_changelog("C", text, "0.2.0"))
    };
    check("## [Unreleased]\n## [0.1.0] - 2026-05-01\n## [0.0.1] - 2026-04-30 [YANKED]\n", &[]);
    check("## [0.2.0] - 2026-05-01\n", &[]);
    check("## [0.1.0] - 2026-05-01\n", &[1]);
    check("# Changelog\n", &[1]);
    check("## [Unreleased]\n## [0.2.0]\n", &[2]);
    check("## [Unreleased]\n## 0.2.0 - 2026-05-01\n", &[2]);
    check("## [Unreleased]\n## [0.2.0] - 2026-05-01\n## [0.1.0] - 2026-05-02\n", &[3]);
}

#[test]
fn a_wrong_rust_version_is_found() {
    let check = |text: &str, lines: &[usize]| {
        assert_places("R", lines, &wrong_rust_version("R", text, "1.95"))
    };
    check("Needs **Rust 1.95** or newer.", &[]);
    check("Needs Rust 1.95.", &[]);
    check("Write blocking Rust, run a million of it.", &[1]);
    check("Needs Rust 1.95.\nWorks with Rust 1.85 too.", &[2]);
}

#[test]
fn a_readme_left_out_is_found() {
    accepts(readme_left_out, "src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n");
    rejects(readme_left_out, "src/lib.rs", "//! giambio.\n", &[1]);
    rejects(readme_left_out, "src/lib.rs", "// #![doc = include_str!(\"../README.md\")]\n", &[1]);
}

#[test]
fn a_missing_job_is_found() {
    let script: String =
        JOBS.iter().map(|job| format!("  job {job} tests cargo {job}\n")).collect();
    accepts(missing_jobs, ".ci/run", &script);
    rejects(missing_jobs, ".ci/run", &script.replace("job loom", "# job loom"), &[1]);
    rejects(missing_jobs, ".ci/run", "", &[1; 10]);
}

#[test]
fn manifest_fields_are_read() {
    let manifest = "[package]\nversion = \"0.1.0\"\nrust-version = \"1.95\"\n";
    assert_eq!(manifest_field(manifest, "version"), Some("0.1.0"));
    assert_eq!(manifest_field(manifest, "rust-version"), Some("1.95"));
    assert_eq!(manifest_field(manifest, "edition"), None);
}
