/*!
How much memory a process and all it has started hold, by `/proc`.
*/

use std::path::Path;

use crate::bounded::read_text;

/// Processes that are looked at for one function.
const PROCESSES_MAX: usize = 2_048;

/// Bytes in memory of the processes below `pid`, itself included; the first `skipped` levels are the server's own and do
/// not count.
pub(super) fn resident_bytes(pid: u32, skipped: usize) -> u64 {
    let (mut level, mut depth, mut seen, mut bytes) = (vec![pid], 0, 0, 0);
    while !level.is_empty() && seen < PROCESSES_MAX {
        seen += level.len();
        if depth >= skipped {
            bytes += level.iter().map(|pid| resident(*pid)).sum::<u64>();
        }
        level = level.into_iter().flat_map(children).collect();
        depth += 1;
    }
    bytes
}

/// Bytes in memory of one process; none where it has ended.
fn resident(pid: u32) -> u64 {
    let text = read_text(Path::new(&format!("/proc/{pid}/status"))).unwrap_or_default();
    let told = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    told.and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread =
        |thread: std::fs::DirEntry| read_text(&thread.path().join("children")).unwrap_or_default();
    let texts = threads.flatten().take(PROCESSES_MAX).map(of_thread);
    texts.flat_map(|text| text.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_counted() {
        let own = std::process::id();
        let alone = resident_bytes(own, 0);
        assert!(alone > 1 << 20, "{alone}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children(own).contains(&child.id()));
        assert!(resident_bytes(own, 1) >= resident_bytes(child.id(), 0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(resident_bytes(child.id(), 0), 0);
    }
}
