//! The tree: which files a rule sees, and what it says about them.

use crate::rules::Check;
use std::fs;
use std::path::Path;
use std::process::Command;

#[track_caller]
pub(crate) fn holds(complaint: &str, roots: &[&str], suffix: &str, check: Check) {
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
pub(crate) fn assert_none(complaint: &str, found: &[String]) {
    assert!(found.is_empty(), "{complaint}:\n{}", found.join("\n"));
}

#[track_caller]
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn manifest_field<'text>(manifest: &'text str, name: &str) -> Option<&'text str> {
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
