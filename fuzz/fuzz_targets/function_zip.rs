/*!
Zips of functions: whatever is unpacked stays in its folder, and an archive that is refused leaves nothing behind.
*/
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/nightbell-server/src/functions/unpack.rs"]
mod unpack;

fuzz_target!(|input: &[u8]| {
    // Sizes are only said there, so it may refuse what would fit.
    let _ = unpack::check(input);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder can be made in it");
    let code = inside.join("code");
    match unpack::unpack(input, &code) {
        Ok(()) => {
            assert_eq!(names(&inside), ["code"]);
            assert!(bytes(&code) <= unpack::UNPACKED_BYTES_MAX);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(names(&inside).is_empty(), "{error}");
        }
    }
    assert_eq!(names(folder.path()), ["inside"]);
});

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is ours");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("the folder is ours").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            Ok(metadata) => {
                assert!(metadata.is_file(), "links are not unpacked");
                metadata.len()
            }
            Err(_) => 0,
        })
        .sum()
}
