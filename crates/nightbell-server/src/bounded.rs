/*!
Reading small files of our own through a cap, so that a wrong path cannot eat the memory.
*/

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest configuration, key or certificate file that is read.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// The text of a small file; an error where it is larger than [`FILE_BYTES_MAX`] or not UTF-8.
#[allow(clippy::disallowed_methods)] // capped by `take`
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("file is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
