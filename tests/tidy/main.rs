//! Rules about the source text that neither rustc nor clippy checks.
//!
//! Each rule is a function from a file's path and text to findings (`rules`), a test that runs it
//! over the tree (here), and a test that feeds it a bad sample (`samples`): a check that cannot
//! fail is worthless.

mod rules;
mod samples;
mod source;
mod tree;

use crate::rules::climbing_supers;
use crate::rules::foreign_names;
use crate::rules::ignored_tests;
use crate::rules::left_open;
use crate::rules::machine_paths;
use crate::rules::missing_jobs;
use crate::rules::prints;
use crate::rules::public_unsafe_functions;
use crate::rules::readme_left_out;
use crate::rules::too_long;
use crate::rules::upward_imports;
use crate::rules::ways_round_the_door;
use crate::rules::wrong_changelog;
use crate::rules::wrong_header;
use crate::rules::wrong_rust_version;
use crate::tree::assert_none;
use crate::tree::holds;
use crate::tree::manifest_field;
use crate::tree::read;

const SOURCE: &[&str] = &["src"];
const ALL_CODE: &[&str] = &["src", "tests", "examples", "benches"];

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
    holds("a file holds more than one idea", ALL_CODE, ".rs", too_long);
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
