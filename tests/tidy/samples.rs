//! Each rule on a bad sample, and on good ones that look like it.

use crate::rules::Check;
use crate::rules::JOBS;
use crate::rules::LINES_PER_FILE_MAX;
use crate::rules::climbing_supers;
use crate::rules::foreign_names;
use crate::rules::ignored_tests;
use crate::rules::left_open;
use crate::rules::machine_paths;
use crate::rules::missing_jobs;
use crate::rules::open_ends;
use crate::rules::paths_below;
use crate::rules::prints;
use crate::rules::public_unsafe_functions;
use crate::rules::readme_left_out;
use crate::rules::too_long;
use crate::rules::upward_imports;
use crate::rules::ways_round_the_door;
use crate::rules::wrong_changelog;
use crate::rules::wrong_header;
use crate::rules::wrong_rust_version;
use crate::source::code_only;
use crate::source::is_name;
use crate::source::tokens;
use crate::tree::manifest_field;

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
    let long = "\n".repeat(LINES_PER_FILE_MAX + 1);
    accepts(too_long, "src/pool.rs", &"\n".repeat(LINES_PER_FILE_MAX));
    let paths = [
        "src/pool.rs",
        "tests/it/pool.rs",
        "examples/a.rs",
        "benches/timers.rs",
        "benches/peers.rs",
    ];
    for path in paths {
        rejects(too_long, path, &long, &[LINES_PER_FILE_MAX + 1]);
    }
    accepts(too_long, "benches/peers/load/src/main.rs", &long);
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
    rejects(missing_jobs, ".ci/run", "", &[1; 11]);
}

#[test]
fn manifest_fields_are_read() {
    let manifest = "[package]\nversion = \"0.1.0\"\nrust-version = \"1.95\"\n";
    assert_eq!(manifest_field(manifest, "version"), Some("0.1.0"));
    assert_eq!(manifest_field(manifest, "rust-version"), Some("1.95"));
    assert_eq!(manifest_field(manifest, "edition"), None);
}
