//! Files, items and tests that the documents name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MAP: &str = include_str!("../../docs/seed-map.md");
const PROTOCOL: &str = include_str!("../../docs/protocol.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_path(text: &str) -> bool {
    let extension = Path::new(text).extension().and_then(|extension| extension.to_str());
    let known = matches!(extension, Some("rs" | "md" | "py" | "toml"));
    text.contains('/') && !text.starts_with(['/', '$']) && (known || text.ends_with('/'))
}

/// The cells of each row of each table.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests in the workspace.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        for after in text.split("#[test]").skip(1) {
            let name = after.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[test]
fn files_that_the_documents_name_exist() {
    for path in [MAP, PROTOCOL].into_iter().flat_map(quoted).filter(|text| is_path(text)) {
        assert!(root().join(path).exists(), "{path}");
    }
}

#[test]
fn items_that_the_map_names_are_in_the_files_it_names() {
    let named = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut checked = 0;
    for row in rows(MAP) {
        for cell in &row {
            let mut text = String::new();
            for name in quoted(cell) {
                if is_path(name) {
                    text += &fs::read_to_string(root().join(name)).unwrap_or_default();
                } else if !text.is_empty() && named(name) && !name.contains([' ', '/']) {
                    for part in name.split("::") {
                        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                        assert!(words.into_iter().any(|word| word == part), "{name} in {cell}");
                    }
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 80, "{checked} items");
}

#[test]
fn tests_that_the_map_names_exist_and_no_row_is_without_an_answer() {
    let tests = tests();
    let mut heads = 0;
    for row in rows(MAP) {
        let proof = row.last().expect("a row has cells");
        if *proof == "Proof" {
            heads += 1;
            continue;
        }
        let named: Vec<&str> = quoted(proof).collect();
        assert!(!named.is_empty() || *proof == "None yet" || *proof == "–", "{row:?}");
        for name in named {
            assert!(tests.contains(name), "{name} is no test");
        }
        let reasoned = row[1].starts_with("Gone") || row[1].contains("Not yet");
        assert!(*proof != "–" || reasoned, "no proof and no reason: {row:?}");
    }
    assert_eq!(heads, 11);
}
