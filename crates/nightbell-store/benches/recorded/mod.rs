/*!
Made events: recorded ones of Windows machines with other users, folders, addresses and times in them, one after the other.
*/

use std::path::PathBuf;

use nightbell_core::event::Event;
use nightbell_core::time::Timestamp;
use nightbell_winevt::evtx::Reader as Evtx;

/// Machines that send.
pub(crate) const HOSTS: usize = 50;
/// Users that do something; few do most.
pub(crate) const USERS: u64 = 2_000;
/// Events of one hour.
pub(crate) const HOUR_EVENTS: u64 = 250_000;
/// When the first happens.
pub(crate) const START_MS: i64 = 1_789_362_000_000;
/// A word that only a few hold: one of [`RARE_EVERY`], where its template has an object.
pub(crate) const RARE_WORD: &str = "quarterly-zebra";
/// How rare.
pub(crate) const RARE_EVERY: u64 = 400_000;

/// The recorded events.
pub(crate) fn templates() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx");
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("it stands in the repository")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "evtx"));
    names.sort();
    names.iter().flat_map(|path| Evtx::open(path).expect("it is a log")).map(|record| record.xml).collect()
}

/// A recorded event with other values in it.
pub(crate) fn event(templates: &[String], number: u64) -> Event {
    let noise = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let time = Timestamp::from_millis(START_MS + (number * 3_600_000 / HOUR_EVENTS) as i64);
    let mut message = templates[(noise >> 32) as usize % templates.len()].clone();
    let skewed = (noise >> 8 & 0xFFFF) * (noise >> 24 & 0xFFFF) / (1 << 16); // few users do most
    let user = format!("user{}", (skewed * USERS) >> 16);
    replace(&mut message, "<EventRecordID>", "<", &number.to_string());
    replace(&mut message, "SystemTime=\"", "\"", &time.iso());
    replace(&mut message, "<Computer>", "<", &format!("srv{:02}.corp.example.com", noise % HOSTS as u64));
    let word = if number % RARE_EVERY == RARE_EVERY - 1 { RARE_WORD } else { "report" };
    let object = format!(
        "\\Device\\HarddiskVolume16\\share\\dept{}\\project{}\\{word}-{:x}.docx",
        user.len() as u64 + noise % 9,
        noise >> 40 & 0x7F,
        noise
    );
    let values = [
        ("SubjectUserName", user.clone()),
        ("TargetUserName", user),
        ("SubjectDomainName", "CORP".to_owned()),
        ("TargetDomainName", "CORP".to_owned()),
        ("IpAddress", format!("10.{}.{}.{}", noise >> 3 & 3, noise >> 16 & 0xFF, noise >> 48 & 0xFF)),
        ("IpPort", (noise >> 48).to_string()),
        ("SubjectLogonId", format!("0x{:x}", noise >> 36)),
        ("TargetLogonId", format!("0x{:x}", noise >> 35)),
        ("HandleId", format!("0x{:x}", noise >> 44)),
        ("ObjectName", object),
    ];
    for (name, value) in values {
        replace(&mut message, &format!("Name=\"{name}\">"), "<", &value);
    }
    Event { time, message }
}

/// Puts `value` between the first `before` and the next `after`.
fn replace(message: &mut String, before: &str, after: &str, value: &str) {
    let Some(start) = message.find(before).map(|at| at + before.len()) else { return };
    let Some(length) = message[start..].find(after) else { return };
    message.replace_range(start..start + length, value);
}
