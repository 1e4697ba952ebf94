/*!
Access rights and the reasons they were granted or denied for: masks, `%%` lists, and the AccessReason grammar.

Names are those of the file rights in Microsoft's reference for event 4663; of a bit with several names (ReadData and
ListDirectory) the file's name stands for both.
*/

use crate::codes;

/// Rights decoded from one AccessReason; Windows has 21 of them for files.
pub const REASONS_MAX: usize = 32;

/// DELETE: the object itself may be removed.
pub const DELETE: u32 = 0x1_0000;
/// DeleteChild: what a folder holds may be removed.
pub const DELETE_CHILD: u32 = 0x40;
/// Rights that change who may do what: WRITE_DAC, WRITE_OWNER, ACCESS_SYS_SEC.
pub const PERMISSION: u32 = 0x10C_0000;
/// Rights that change content or attributes.
pub const WRITE: u32 = 0x116;
/// Rights that show content, attributes or permissions.
pub const READ: u32 = 0x2_00A9;

/// What kind of object a right belongs to: the low sixteen bits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files, folders, shares.
    File,
    /// Registry keys.
    Key,
    /// Anything else: only the standard rights have names here.
    Other,
}

/// The names of the rights in `mask`: standard rights first, then those of the kind, each by rising bit. A bit without a
/// name is left out.
pub fn names(mask: u32, kind: Kind) -> Vec<&'static str> {
    let own = own_rights(kind);
    STANDARD.iter().chain(own).filter(|right| mask & right.bit != 0).map(|right| right.name).collect()
}

/// The names of the `%%` codes of an AccessList, in its order; a code without a name is left out.
pub fn list(text: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in codes::references(text).take(REASONS_MAX).filter_map(right_of_code) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The mask of the file and standard rights among the `%%` codes of an AccessList.
pub fn mask_of_list(text: &str) -> u32 {
    let rights = || STANDARD.iter().chain(FILE);
    codes::references(text)
        .take(REASONS_MAX)
        .filter_map(|code| rights().find(|right| right.code == code))
        .fold(0, |mask, right| mask | right.bit)
}

/// One right of an AccessReason and why it was granted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The right's name.
    pub right: &'static str,
    /// The reason in words: `not granted`, `granted by ACE on parent folder`.
    pub reason: &'static str,
    /// Whether the reason means that the right was refused.
    pub denied: bool,
    /// What follows the reason: the deciding ACE in SDDL, or the missing privilege; may be empty.
    pub detail: &'a str,
}

/// Reads an AccessReason: `%%1541: %%1805%%4423: %%1811 D:(A;OICIID;0x1301bf;;;AU)`.
///
/// Rights or reasons without a name are left out, as is anything that does not follow the grammar.
pub fn reasons(text: &str) -> Vec<Verdict<'_>> {
    let mut verdicts = Vec::new();
    let mut rest = text;
    while verdicts.len() < REASONS_MAX {
        let Some((right, after)) = next_right(rest) else { break };
        let (reason, after) = leading_code(after.trim_start());
        let end = next_right_at(after).unwrap_or(after.len());
        rest = &after[end..];
        let known = reason.and_then(|code| REASONS.iter().find(|known| known.0 == code));
        if let (Some(right), Some(&(_, reason, denied))) = (right_of_code(right), known) {
            verdicts.push(Verdict { right, reason, denied, detail: after[..end].trim() });
        }
    }
    verdicts
}

/// The name of the right with this `%%` code.
pub fn right_of_code(code: u32) -> Option<&'static str> {
    let mut rights = STANDARD.iter().chain(FILE).chain(KEY);
    rights.find(|right| right.code == code).map(|right| right.name)
}

/// The next `%%n:` of an AccessReason: its number and what follows the colon.
fn next_right(text: &str) -> Option<(u32, &str)> {
    let at = next_right_at(text)?;
    let (code, after) = leading_code(&text[at..]);
    Some((code?, after.strip_prefix(':')?))
}

/// Where the next `%%n:` stands: a `%%n` without a colon is a reason or a privilege.
fn next_right_at(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find("%%") {
        let at = from + at;
        if let (Some(_), after) = leading_code(&text[at..])
            && after.starts_with(':')
        {
            return Some(at);
        }
        from = at + "%%".len();
    }
    None
}

/// The number of the `%%n` at the start of `text`, and what follows it.
fn leading_code(text: &str) -> (Option<u32>, &str) {
    let Some(after) = text.strip_prefix("%%") else { return (None, text) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    (after[..digits].parse().ok(), &after[digits..])
}

fn own_rights(kind: Kind) -> &'static [Right] {
    match kind {
        Kind::File => FILE,
        Kind::Key => KEY,
        Kind::Other => &[],
    }
}

#[derive(Debug)]
struct Right {
    code: u32,
    bit: u32,
    name: &'static str,
}

const fn right(code: u32, bit: u32, name: &'static str) -> Right {
    Right { code, bit, name }
}

const STANDARD: &[Right] = &[
    right(1537, 0x1_0000, "DELETE"),
    right(1538, 0x2_0000, "READ_CONTROL"),
    right(1539, 0x4_0000, "WRITE_DAC"),
    right(1540, 0x8_0000, "WRITE_OWNER"),
    right(1541, 0x10_0000, "SYNCHRONIZE"),
    right(1542, 0x100_0000, "ACCESS_SYS_SEC"),
    right(1543, 0x200_0000, "MAXIMUM_ALLOWED"),
];

const FILE: &[Right] = &[
    right(4416, 0x1, "ReadData"),
    right(4417, 0x2, "WriteData"),
    right(4418, 0x4, "AppendData"),
    right(4419, 0x8, "ReadEA"),
    right(4420, 0x10, "WriteEA"),
    right(4421, 0x20, "Execute"),
    right(4422, 0x40, "DeleteChild"),
    right(4423, 0x80, "ReadAttributes"),
    right(4424, 0x100, "WriteAttributes"),
];

const KEY: &[Right] = &[
    right(4432, 0x1, "QueryValue"),
    right(4433, 0x2, "SetValue"),
    right(4434, 0x4, "CreateSubKey"),
    right(4435, 0x8, "EnumerateSubKeys"),
    right(4436, 0x10, "Notify"),
    right(4437, 0x20, "CreateLink"),
];

/// Code, words, whether the right was refused.
const REASONS: &[(u32, &str, bool)] = &[
    (1801, "granted by", false),
    (1802, "denied by", true),
    (1803, "denied by integrity policy", true),
    (1804, "granted by ownership", false),
    (1805, "not granted", true),
    (1806, "granted by NULL DACL", false),
    (1807, "denied by empty DACL", true),
    (1808, "granted by NULL descriptor", false),
    (1809, "unknown or unchecked", false),
    (1810, "not granted due to missing privilege", true),
    (1811, "granted by ACE on parent folder", false),
    (1812, "denied by ACE on parent folder", true),
    (1813, "granted by central access rule", false),
    (1814, "not granted by central access rule", true),
    (1815, "granted by parent's central rule", false),
    (1816, "not granted by parent's central rule", true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_names() {
        let everything = [
            "DELETE",
            "READ_CONTROL",
            "WRITE_DAC",
            "WRITE_OWNER",
            "SYNCHRONIZE",
            "ReadData",
            "WriteData",
            "AppendData",
            "ReadEA",
            "WriteEA",
            "Execute",
            "DeleteChild",
            "ReadAttributes",
            "WriteAttributes",
        ];
        let rows: [(&str, u32, &[&str]); 8] = [
            ("A01", 0x10_0080, &["SYNCHRONIZE", "ReadAttributes"]),
            ("A02", 0x10_0081, &["SYNCHRONIZE", "ReadData", "ReadAttributes"]),
            ("A03", 0x12_0089, &["READ_CONTROL", "SYNCHRONIZE", "ReadData", "ReadEA", "ReadAttributes"]),
            ("A04", 0x6, &["WriteData", "AppendData"]),
            ("A05", 0x1, &["ReadData"]),
            ("A06", 0x1_0000, &["DELETE"]),
            ("A07", 0x1f_01ff, &everything),
            ("A08", 0x0, &[]),
        ];
        for (id, mask, expected) in rows {
            assert_eq!(names(mask, Kind::File), expected, "{id}");
        }
    }

    #[test]
    fn lists_and_masks_agree() {
        let rows = [
            (0x10_0080, "%%1541%%4423"),
            (0x12_0089, "%%1538\n\t\t\t\t%%1541\n\t\t\t\t%%4416\n\t\t\t\t%%4419\n\t\t\t\t%%4423\n\t\t\t\t"),
        ];
        for (mask, text) in rows {
            assert_eq!(list(text), names(mask, Kind::File), "{text:?}");
            assert_eq!(mask_of_list(text), mask, "{text:?}");
        }
        assert_eq!(list("-"), [""; 0]);
        assert_eq!(list("%%4432 %%4433"), ["QueryValue", "SetValue"]);
        assert_eq!(mask_of_list("%%4432 %%1537"), DELETE);
    }

    #[test]
    fn the_low_bits_depend_on_the_kind() {
        assert_eq!(names(0x2_0019, Kind::Key), ["READ_CONTROL", "QueryValue", "EnumerateSubKeys", "Notify"]);
        assert_eq!(names(0x1_0010, Kind::Other), ["DELETE"]);
    }

    #[test]
    fn groups_of_rights_are_made_of_named_ones() {
        assert_eq!(
            names(READ, Kind::File),
            ["READ_CONTROL", "ReadData", "ReadEA", "Execute", "ReadAttributes"]
        );
        assert_eq!(names(WRITE, Kind::File), ["WriteData", "AppendData", "WriteEA", "WriteAttributes"]);
        assert_eq!(names(PERMISSION, Kind::File), ["WRITE_DAC", "WRITE_OWNER", "ACCESS_SYS_SEC"]);
        assert_eq!(names(DELETE | DELETE_CHILD, Kind::File), ["DELETE", "DeleteChild"]);
    }

    fn denied(text: &str) -> Vec<&'static str> {
        reasons(text).iter().filter(|verdict| verdict.denied).map(|verdict| verdict.right).collect()
    }

    #[test]
    fn r01_a_right_refused_beside_one_granted_by_the_parent() {
        let text = "%%1541: %%1805%%4423: %%1811 D:(A;OICIID;0x1301bf;;;AU)";
        let verdicts = reasons(text);
        assert_eq!(verdicts.len(), 2);
        assert_eq!(
            verdicts[0],
            Verdict { right: "SYNCHRONIZE", reason: "not granted", denied: true, detail: "" }
        );
        assert_eq!(
            verdicts[1],
            Verdict {
                right: "ReadAttributes",
                reason: "granted by ACE on parent folder",
                denied: false,
                detail: "D:(A;OICIID;0x1301bf;;;AU)"
            }
        );
        assert_eq!(denied(text), ["SYNCHRONIZE"]);
    }

    #[test]
    fn r02_ownership() {
        let text = "%%1538:\t%%1804\r\n\t\t\t\t%%1541:\t%%1805\r\n\t\t\t\t%%4416:\t%%1805\r\n";
        let verdicts = reasons(text);
        assert_eq!((verdicts[0].right, verdicts[0].reason), ("READ_CONTROL", "granted by ownership"));
        assert_eq!(denied(text), ["SYNCHRONIZE", "ReadData"]);
    }

    #[test]
    fn r03_nothing_said() {
        assert_eq!(reasons("-"), []);
        assert_eq!(reasons(""), []);
    }

    #[test]
    fn r04_a_missing_privilege() {
        let verdicts = reasons("%%1542: %%1810 %%1608");
        assert_eq!(
            verdicts,
            [Verdict {
                right: "ACCESS_SYS_SEC",
                reason: "not granted due to missing privilege",
                denied: true,
                detail: "%%1608"
            }]
        );
    }

    #[test]
    fn broken_reasons_give_what_can_be_read() {
        assert_eq!(denied("%%: %%1805 %%1541: %%1805 %%9999: %%1805 %%4416:"), ["SYNCHRONIZE"]);
        assert!(reasons(&"%%1541: %%1805".repeat(1000)).len() <= REASONS_MAX);
    }
}
