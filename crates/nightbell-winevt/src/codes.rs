/*!
What Windows' numbers mean: keywords, logon types, status codes, failure reasons, Kerberos results, audit policy changes.

Tables only, after "Audit logon events" and its neighbours in Microsoft's advanced security audit reference, RFC 4120,
and public message tables. Codes are compared as numbers, since senders differ in case and leading zeros. Access rights
have their own file.
*/

/// Bit of Keywords that marks an audit failure.
pub const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;
/// Bit of Keywords that marks an audit success.
pub const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;

/// The outcome that Keywords tell: a number (hexadecimal, or decimal with or without sign), or, where a sender gives
/// nothing else, the English words of a rendered event.
///
/// Should both bits be set, which Windows never does, failure is the answer.
pub fn outcome(keywords: &str) -> Option<&'static str> {
    let keywords = keywords.trim();
    match keyword_mask(keywords) {
        Some(mask) if mask & AUDIT_FAILURE != 0 => Some("failure"),
        Some(mask) if mask & AUDIT_SUCCESS != 0 => Some("success"),
        Some(_) => None,
        None if keywords.eq_ignore_ascii_case("audit failure") => Some("failure"),
        None if keywords.eq_ignore_ascii_case("audit success") => Some("success"),
        None => None,
    }
}

/// Keywords as a 64-bit mask.
pub fn keyword_mask(keywords: &str) -> Option<u64> {
    if let Some(hex) = keywords.strip_prefix("0x").or_else(|| keywords.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok();
    }
    keywords.parse::<u64>().ok().or_else(|| keywords.parse::<i64>().ok().map(i64::cast_unsigned))
}

/// A status, mask or type: hexadecimal with `0x`, or decimal (negative as 32-bit two's complement).
pub fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

/// The numbers of the `%%n` references in a text, in order; whatever stands between them is skipped.
pub fn references(text: &str) -> impl Iterator<Item = u32> {
    text.split("%%").skip(1).filter_map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        part[..digits].parse().ok()
    })
}

/// The English name, in lower case, of the audit subcategory with this GUID (4719), with or without braces.
pub fn subcategory(guid: &str) -> Option<&'static str> {
    let guid = guid.trim().trim_start_matches('{').trim_end_matches('}');
    let (number, family) = guid.split_once('-')?;
    let number = u32::from_str_radix(number, 16).ok()?;
    if !family.eq_ignore_ascii_case(SUBCATEGORY_FAMILY) {
        return None;
    }
    let at = number.checked_sub(SUBCATEGORY_FIRST)?;
    SUBCATEGORIES.get(usize::try_from(at).ok()?).copied()
}

fn look_up(table: &'static [(u32, &'static str)], code: u32) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}

/// The name of a LogonType.
pub fn logon_type(code: u32) -> Option<&'static str> {
    look_up(LOGON_TYPES, code)
}

/// What an NTSTATUS of 4625, 4776 and their like means.
pub fn status(code: u32) -> Option<&'static str> {
    look_up(STATUSES, code)
}

/// What a `%%23nn` FailureReason of 4625 means.
pub fn failure_reason(code: u32) -> Option<&'static str> {
    look_up(FAILURE_REASONS, code)
}

/// What a Kerberos result of 4768, 4769 and 4771 means.
pub fn kerberos(code: u32) -> Option<&'static str> {
    look_up(KERBEROS, code)
}

/// What a `%%84nn` of AuditPolicyChanges (4719) means.
pub fn policy_change(code: u32) -> Option<&'static str> {
    look_up(POLICY_CHANGES, code)
}

const LOGON_TYPES: &[(u32, &str)] = &[
    (0, "System"),
    (2, "Interactive"),
    (3, "Network"),
    (4, "Batch"),
    (5, "Service"),
    (7, "Unlock"),
    (8, "NetworkCleartext"),
    (9, "NewCredentials"),
    (10, "RemoteInteractive"),
    (11, "CachedInteractive"),
    (12, "CachedRemoteInteractive"),
    (13, "CachedUnlock"),
];

const STATUSES: &[(u32, &str)] = &[
    (0xc000_0022, "access denied"),
    (0xc000_005e, "no logon server available"),
    (0xc000_0064, "user name does not exist"),
    (0xc000_006a, "wrong password"),
    (0xc000_006d, "bad user name or authentication data"),
    (0xc000_006e, "account restriction"),
    (0xc000_006f, "outside permitted hours"),
    (0xc000_0070, "workstation not permitted"),
    (0xc000_0071, "password expired"),
    (0xc000_0072, "account disabled"),
    (0xc000_0073, "no mapping of names to SIDs"),
    (0xc000_00dc, "SAM server in wrong state"),
    (0xc000_0133, "clock difference too large"),
    (0xc000_015b, "logon type not granted"),
    (0xc000_018c, "trust relationship failed"),
    (0xc000_0192, "Netlogon not started"),
    (0xc000_0193, "account expired"),
    (0xc000_0224, "must change password"),
    (0xc000_0225, "Windows defect, harmless"),
    (0xc000_0234, "account locked out"),
    (0xc000_02ee, "error during logon"),
    (0xc000_0413, "refused by authentication firewall"),
];

const FAILURE_REASONS: &[(u32, &str)] = &[
    (2304, "error during logon"),
    (2305, "account expired"),
    (2306, "Netlogon inactive"),
    (2307, "account locked out"),
    (2308, "logon type not granted"),
    (2309, "password expired"),
    (2310, "account disabled"),
    (2311, "outside permitted hours"),
    (2312, "not allowed at this computer"),
    (2313, "unknown user name or wrong password"),
    (2314, "domain SID inconsistent"),
    (2315, "smart card required"),
];

const KERBEROS: &[(u32, &str)] = &[
    (0x6, "user name does not exist"),
    (0x7, "unknown service"),
    (0xc, "workstation or hours not permitted"),
    (0xe, "encryption type unsupported"),
    (0x10, "pre-authentication type unsupported"),
    (0x12, "account disabled, expired or locked out"),
    (0x17, "password expired"),
    (0x18, "wrong password"),
    (0x19, "pre-authentication required"),
    (0x1b, "server principal valid for user-to-user only"),
    (0x1f, "integrity check failed"),
    (0x20, "ticket expired"),
    (0x25, "clock difference too large"),
    (0x3c, "generic error"),
];

const POLICY_CHANGES: &[(u32, &str)] = &[
    (8448, "success auditing removed"),
    (8449, "success auditing added"),
    (8450, "failure auditing removed"),
    (8451, "failure auditing added"),
];

/// What all GUIDs of audit subcategories end in.
const SUBCATEGORY_FAMILY: &str = "69ae-11d9-bed3-505054503030";
/// What the first of them begins with; the others count on from there.
const SUBCATEGORY_FIRST: u32 = 0x0cce_9210;

/// Names by rising GUID, after "Audit subcategory GUIDs" of the group policy protocol's audit extension (MS-GPAC).
const SUBCATEGORIES: &[&str] = &[
    "security state change",
    "security system extension",
    "system integrity",
    "ipsec driver",
    "other system events",
    "logon",
    "logoff",
    "account lockout",
    "ipsec main mode",
    "ipsec quick mode",
    "ipsec extended mode",
    "special logon",
    "other logon/logoff events",
    "file system",
    "registry",
    "kernel object",
    "sam",
    "certification services",
    "application generated",
    "handle manipulation",
    "file share",
    "filtering platform packet drop",
    "filtering platform connection",
    "other object access events",
    "sensitive privilege use",
    "non sensitive privilege use",
    "other privilege use events",
    "process creation",
    "process termination",
    "dpapi activity",
    "rpc events",
    "audit policy change",
    "authentication policy change",
    "authorization policy change",
    "mpssvc rule-level policy change",
    "filtering platform policy change",
    "other policy change events",
    "user account management",
    "computer account management",
    "security group management",
    "distribution group management",
    "application group management",
    "other account management events",
    "directory service access",
    "directory service changes",
    "directory service replication",
    "detailed directory service replication",
    "credential validation",
    "kerberos service ticket operations",
    "other account logon events",
    "kerberos authentication service",
    "network policy server",
    "detailed file share",
    "removable storage",
    "central policy staging",
    "user/device claims",
    "plug and play events",
    "group membership",
    "token right adjusted",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_tell_the_outcome() {
        let rows = [
            ("K01", "0x8020000000000000", Some("success")),
            ("K02", "0x8010000000000000", Some("failure")),
            ("K03", "0x4020000000000000", Some("success")),
            ("K04", "0x0", None),
            ("K05", "-9218868437227405312", Some("failure")),
            ("K06", "Audit Failure", Some("failure")),
            ("success as signed decimal", "-9214364837600034816", Some("success")),
            ("unsigned decimal", "9227875636482146304", Some("failure")),
            ("top bit alone", "0x8000000000000000", None),
            ("upper case", "0X8010000000000000", Some("failure")),
            ("empty", "", None),
            ("too long", "0x80100000000000000", None),
            ("no number", "0xfoo", None),
        ];
        for (id, keywords, expected) in rows {
            assert_eq!(outcome(keywords), expected, "{id}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        for text in
            ["0xc000006a", "0xC000006A", "0x00000000C000006A", "3221225578", "-1073741718", " 0xc000006a "]
        {
            assert_eq!(number(text).and_then(status), Some("wrong password"), "{text}");
        }
        for text in ["", "-", "0x", "c000006a", "0x1c000006a"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn references_are_found_however_they_are_parted() {
        let read = |text| references(text).collect::<Vec<_>>();
        assert_eq!(read("%%1541%%4423"), [1541, 4423]);
        assert_eq!(read("%%1538\n\t\t\t\t%%1541 %%4416\r\n"), [1538, 1541, 4416]);
        assert_eq!(read("-"), [0; 0]);
        assert_eq!(read("%%%%x%%99999999999%%7"), [7]);
    }

    #[test]
    fn tables_are_free_of_double_codes() {
        for table in [LOGON_TYPES, STATUSES, FAILURE_REASONS, KERBEROS, POLICY_CHANGES] {
            for (index, (code, text)) in table.iter().enumerate() {
                assert!(!text.is_empty());
                assert!(table[..index].iter().all(|(other, _)| other < code), "{code:#x} is out of order");
            }
        }
    }

    #[test]
    fn types_and_reasons_have_names() {
        assert_eq!(logon_type(10), Some("RemoteInteractive"));
        assert_eq!((logon_type(1), logon_type(6), logon_type(14)), (None, None, None));
        assert_eq!(failure_reason(2313), Some("unknown user name or wrong password"));
        assert_eq!(kerberos(0x18), Some("wrong password"));
        assert_eq!(kerberos(0x12), Some("account disabled, expired or locked out"));
        assert_eq!(kerberos(0), None);
        assert_eq!(policy_change(8450), Some("failure auditing removed"));
    }

    #[test]
    fn subcategories_have_names() {
        let rows = [
            ("{0CCE9210-69AE-11D9-BED3-505054503030}", Some("security state change")),
            ("{0cce9215-69ae-11d9-bed3-505054503030}", Some("logon")),
            ("{0CCE921D-69AE-11D9-BED3-505054503030}", Some("file system")),
            ("0CCE9223-69AE-11D9-BED3-505054503030", Some("handle manipulation")),
            ("{0CCE9224-69AE-11D9-BED3-505054503030}", Some("file share")),
            ("{0CCE922F-69AE-11D9-BED3-505054503030}", Some("audit policy change")),
            ("{0CCE9235-69AE-11D9-BED3-505054503030}", Some("user account management")),
            ("{0CCE923F-69AE-11D9-BED3-505054503030}", Some("credential validation")),
            ("{0CCE9242-69AE-11D9-BED3-505054503030}", Some("kerberos authentication service")),
            ("{0CCE9244-69AE-11D9-BED3-505054503030}", Some("detailed file share")),
            ("{0CCE924A-69AE-11D9-BED3-505054503030}", Some("token right adjusted")),
            ("{0CCE924B-69AE-11D9-BED3-505054503030}", None),
            ("{0CCE920F-69AE-11D9-BED3-505054503030}", None),
            ("{0CCE9215-0000-11D9-BED3-505054503030}", None),
            ("-", None),
            ("", None),
        ];
        for (guid, expected) in rows {
            assert_eq!(subcategory(guid), expected, "{guid}");
        }
    }
}
