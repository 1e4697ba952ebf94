//! Runs every script in `tests/alarms/`: alarm behaviour over time, one file a matter.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use nightbell_core::script::Script;

#[test]
fn every_script_holds() {
    let scripts = scripts();
    assert!(!scripts.is_empty(), "no scripts in tests/alarms");
    let mut failures = Vec::new();
    for path in &scripts {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match Script::parse(&text(path)) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(script) => failures.extend(script.run().failures.into_iter().map(|failure| {
                let line = failure.line.map_or(String::new(), |line| format!(":{line}"));
                format!("{name}{line}: {}", failure.message)
            })),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_else_lies_beside_the_scripts() {
    for path in entries() {
        assert!(
            path.extension().is_some_and(|extension| extension == "alarm"),
            "forgotten: {}",
            path.display()
        );
    }
}

fn scripts() -> Vec<PathBuf> {
    entries()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "alarm"))
        .collect()
}

fn entries() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alarms");
    let entries = fs::read_dir(folder).expect("the folder of scripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn text(path: &Path) -> String {
    let lines = BufReader::new(File::open(path).expect("a readable script")).lines();
    lines.map(|line| line.expect("UTF-8") + "\n").collect()
}
