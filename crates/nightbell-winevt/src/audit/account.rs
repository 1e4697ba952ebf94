/*!
Who: accounts as `domain\name`, and the addresses requests come from.

Windows writes one account in many ways; a rule that counts per user needs one. Everything is lower-case.
*/

use std::net::IpAddr;

/// `domain\name`, or `name` where no domain is told, or the SID where no name is told.
///
/// `name@realm` becomes `realm\name` unless another domain is told: `MicrosoftAccount\ann@example.org` is a name as it is.
pub(super) fn account(name: Option<&str>, domain: Option<&str>, sid: Option<&str>) -> Option<String> {
    let Some(name) = name else {
        // S-1-0-0 is nobody.
        return sid.filter(|sid| *sid != "S-1-0-0" && sid.starts_with("S-")).map(str::to_lowercase);
    };
    if name.contains('\\') {
        return Some(name.to_lowercase());
    }
    let domain = domain.filter(|domain| *domain != ".");
    if let Some((user, realm)) = name.rsplit_once('@')
        && !user.is_empty()
        && !realm.is_empty()
        && domain.is_none_or(|domain| domain.eq_ignore_ascii_case(realm))
    {
        return Some(joined(realm, user));
    }
    Some(match domain {
        Some(domain) => joined(domain, name),
        None => name.to_lowercase(),
    })
}

fn joined(domain: &str, name: &str) -> String {
    let mut joined = String::with_capacity(domain.len() + 1 + name.len());
    joined.push_str(domain);
    joined.push('\\');
    joined.push_str(name);
    if joined.is_ascii() {
        joined.make_ascii_lowercase();
        return joined;
    }
    joined.to_lowercase()
}

/// An address without the prefix of IPv4 inside IPv6 and without the backslashes of a host name.
pub(super) fn source(address: &str) -> Option<String> {
    let address = address.trim().trim_start_matches('\\').to_lowercase();
    let address = match address.strip_prefix("::ffff:") {
        Some(mapped) if mapped.contains('.') => mapped,
        _ => &address,
    };
    (!address.is_empty() && address != "-").then(|| address.to_owned())
}

/// The noise that an account is, by its name as [`account`] gives it and by its SID.
///
/// Names of Windows' own accounts are in the language of the machine, so the SID says more. A name that ends in `$` is
/// a machine's or a managed service's; anybody who may make accounts may make one that ends so.
pub(super) fn noise(user: Option<&str>, sid: Option<&str>) -> Option<&'static str> {
    let own_sid = |family: &str| sid.is_some_and(|sid| sid.starts_with(family));
    if sid == Some("S-1-5-7") || user.is_some_and(|user| user.ends_with(r"\anonymous logon")) {
        return Some("anonymous");
    }
    if user.is_some_and(|user| user.ends_with('$')) {
        return Some("machine-account");
    }
    let system = matches!(sid, Some("S-1-5-18" | "S-1-5-19" | "S-1-5-20"))
        || SERVICE_SIDS.into_iter().any(own_sid)
        || user.is_some_and(|user| user == r"nt authority\system");
    system.then_some("system-account")
}

/// Services, the window manager, the font driver host, the sessions of the SSH server.
const SERVICE_SIDS: [&str; 4] = ["S-1-5-80-", "S-1-5-90-", "S-1-5-96-", "S-1-5-111-"];

/// Whether an address as [`source`] gives it is the machine itself.
pub(super) fn is_loopback(source: &str) -> bool {
    let address = source.split_once('%').map_or(source, |(address, _zone)| address);
    source == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_one_form() {
        let rows = [
            (Some("Ann"), Some("CORP"), None, Some(r"corp\ann")),
            (Some("Ann"), None, None, Some("ann")),
            (Some("ann@CORP.EXAMPLE"), Some("CORP.EXAMPLE"), None, Some(r"corp.example\ann")),
            (Some("ann@CORP.EXAMPLE"), None, None, Some(r"corp.example\ann")),
            (
                Some("ann@example.org"),
                Some("MicrosoftAccount"),
                None,
                Some(r"microsoftaccount\ann@example.org"),
            ),
            (Some(r"CORP\Ann"), Some("HOST"), None, Some(r"corp\ann")),
            (Some("Ann"), Some("."), None, Some("ann")),
            (Some("@"), None, None, Some("@")),
            (Some("HOST$"), Some("CORP"), None, Some(r"corp\host$")),
            (Some("JÖRG"), Some("FIRMA"), None, Some(r"firma\jörg")),
            (None, Some("CORP"), Some("S-1-5-21-1-2-3-500"), Some("s-1-5-21-1-2-3-500")),
            (None, None, Some("S-1-0-0"), None),
            (None, Some("CORP"), None, None),
        ];
        for (name, domain, sid, expected) in rows {
            assert_eq!(account(name, domain, sid).as_deref(), expected, "{name:?} {domain:?} {sid:?}");
        }
    }

    #[test]
    fn addresses_lose_their_wrapping() {
        let rows = [
            ("::ffff:10.0.0.12", Some("10.0.0.12")),
            ("::FFFF:10.0.0.12", Some("10.0.0.12")),
            ("10.0.0.12", Some("10.0.0.12")),
            ("::1", Some("::1")),
            ("FE80::1%4", Some("fe80::1%4")),
            ("::ffff:0:1", Some("::ffff:0:1")),
            (r"\\WKS01", Some("wks01")),
            ("-", None),
            ("", None),
        ];
        for (address, expected) in rows {
            assert_eq!(source(address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn accounts_that_are_noise() {
        let rows = [
            (Some(r"corp\ann"), Some("S-1-5-21-1-2-3-1104"), None),
            (Some(r"corp\host$"), Some("S-1-5-21-1-2-3-1105"), Some("machine-account")),
            (Some(r"corp\host$"), Some("S-1-5-18"), Some("machine-account")),
            (Some("system"), Some("S-1-5-18"), Some("system-account")),
            (Some(r"nt authority\system"), None, Some("system-account")),
            (Some(r"nt-autorität\system"), Some("S-1-5-18"), Some("system-account")),
            (Some(r"corp\system"), Some("S-1-5-21-1-2-3-1106"), None),
            (Some(r"window manager\dwm-1"), Some("S-1-5-90-0-1"), Some("system-account")),
            (Some(r"nt service\mssql"), Some("S-1-5-80-1-2"), Some("system-account")),
            (Some(r"nt authority\anonymous logon"), None, Some("anonymous")),
            (Some(r"nt-autorität\anonymous-anmeldung"), Some("S-1-5-7"), Some("anonymous")),
            (Some("s-1-5-21-1-2-3-1104"), Some("S-1-5-21-1-2-3-1104"), None),
            (None, None, None),
        ];
        for (user, sid, expected) in rows {
            assert_eq!(noise(user, sid), expected, "{user:?} {sid:?}");
        }
    }

    #[test]
    fn loopback_is_the_machine_itself() {
        for source in ["127.0.0.1", "127.8.9.1", "::1", "::1%0", "localhost"] {
            assert!(is_loopback(source), "{source}");
        }
        for source in ["10.0.0.1", "128.0.0.1", "fe80::1%4", "wks7", "1270.0.0.1", ""] {
            assert!(!is_loopback(source), "{source}");
        }
    }
}
