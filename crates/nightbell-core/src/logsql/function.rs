/*!
The functions of one row: their names, what they take and what they give.

The list and the meanings are those of "Boolean, comparison, numeric, datetime, and other functions" (CloudWatch Logs
User Guide); what is said there of values that are missing or of another kind is little, so that part is *assumed*: such
arguments give nothing, unless the function asks whether something is there. `bin`, `datefloor` and `dateceil` take a
period and are read in `expression`.
*/

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::de::IgnoredAny;

use super::TEXT_BYTES_MAX;
use super::value::Val;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Greatest,
    Least,
    Log,
    Sqrt,
    IsEmpty,
    IsBlank,
    Concat,
    TrimStart,
    TrimEnd,
    Trim,
    Length,
    Upper,
    Lower,
    Substring,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    IsIp,
    IsIpv4,
    IsIpv6,
    IsIpIn,
    IsIpv4In,
    IsIpv6In,
    IsPresent,
    Coalesce,
    If,
    Case,
    IsNumeric,
    FromMillis,
    ToMillis,
    Now,
    JsonParse,
    JsonStringify,
}

/// Name and arguments of a function.
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) takes: &'static str,
}

const fn signature(name: &'static str, function: Function, least: usize, most: usize) -> Signature {
    let takes = match (least, most) {
        (0, 0) => "no argument",
        (1, 1) => "one argument",
        (2, 2) => "two arguments",
        (3, 3) => "three arguments",
        (1, 2) => "one or two arguments",
        (2, 3) => "two or three arguments",
        (2, _) => "two arguments or more",
        _ => "one argument or more",
    };
    Signature { name, function, least, most, takes }
}

/// Arguments without a limit of their own; the length of a query bounds them.
const MANY: usize = usize::MAX;

/// All functions.
static SIGNATURES: [Signature; 37] = [
    signature("abs", Function::Abs, 1, 1),
    signature("ceil", Function::Ceil, 1, 1),
    signature("floor", Function::Floor, 1, 1),
    signature("greatest", Function::Greatest, 1, MANY),
    signature("least", Function::Least, 1, MANY),
    signature("log", Function::Log, 1, 1),
    signature("sqrt", Function::Sqrt, 1, 1),
    signature("isempty", Function::IsEmpty, 1, 1),
    signature("isblank", Function::IsBlank, 1, 1),
    signature("concat", Function::Concat, 1, MANY),
    signature("ltrim", Function::TrimStart, 1, 2),
    signature("rtrim", Function::TrimEnd, 1, 2),
    signature("trim", Function::Trim, 1, 2),
    signature("strlen", Function::Length, 1, 1),
    signature("toupper", Function::Upper, 1, 1),
    signature("tolower", Function::Lower, 1, 1),
    signature("substr", Function::Substring, 2, 3),
    signature("replace", Function::Replace, 3, 3),
    signature("strcontains", Function::Contains, 2, 3),
    signature("startsWith", Function::StartsWith, 2, 2),
    signature("endsWith", Function::EndsWith, 2, 2),
    signature("isValidIp", Function::IsIp, 1, 1),
    signature("isValidIpV4", Function::IsIpv4, 1, 1),
    signature("isValidIpV6", Function::IsIpv6, 1, 1),
    signature("isIpInSubnet", Function::IsIpIn, 2, 2),
    signature("isIpv4InSubnet", Function::IsIpv4In, 2, 2),
    signature("isIpv6InSubnet", Function::IsIpv6In, 2, 2),
    signature("ispresent", Function::IsPresent, 1, 1),
    signature("coalesce", Function::Coalesce, 1, MANY),
    signature("if", Function::If, 3, 3),
    signature("case", Function::Case, 2, MANY),
    signature("isNumeric", Function::IsNumeric, 1, 1),
    signature("fromMillis", Function::FromMillis, 1, 1),
    signature("toMillis", Function::ToMillis, 1, 1),
    signature("now", Function::Now, 0, 0),
    signature("jsonParse", Function::JsonParse, 1, 1),
    signature("jsonStringify", Function::JsonStringify, 1, 1),
];

impl Function {
    /// The function of that name, in any case.
    pub(super) fn named(name: &str) -> Option<&'static Signature> {
        SIGNATURES.iter().find(|signature| signature.name.eq_ignore_ascii_case(name))
    }

    /// What it gives; `now_s` is the query's start in seconds since 1970.
    pub(super) fn apply<'a>(self, mut arguments: Vec<Val<'a>>, now_s: i64) -> Val<'a> {
        match self {
            Self::Abs | Self::Ceil | Self::Floor | Self::Log | Self::Sqrt => self.numeric(&arguments[0]),
            Self::Greatest => extreme(&arguments, f64::max),
            Self::Least => extreme(&arguments, f64::min),
            Self::IsEmpty => Val::Bool(arguments[0].shown().is_none_or(|text| text.is_empty())),
            Self::IsBlank => Val::Bool(arguments[0].shown().is_none_or(|text| text.trim().is_empty())),
            Self::IsPresent => Val::Bool(!arguments[0].is_null()),
            Self::IsNumeric => Val::Bool(arguments[0].number().is_some()),
            Self::Concat => concat(&arguments),
            Self::Coalesce => arguments.into_iter().find(|value| !value.is_null()).unwrap_or(Val::Null),
            Self::If => arguments.swap_remove(if arguments[0].holds() { 1 } else { 2 }),
            Self::Case => case(arguments),
            Self::FromMillis => arguments[0].number().map_or(Val::Null, |ms| Val::Time(ms as i64)),
            Self::ToMillis => arguments[0].millis().map_or(Val::Null, |ms| Val::Number(ms as f64)),
            Self::Now => Val::Number(now_s as f64),
            Self::JsonParse | Self::JsonStringify => {
                let json = arguments[0].shown().is_some_and(|text| is_json(&text));
                if json { arguments.swap_remove(0) } else { Val::Null }
            }
            _ => self.textual(&arguments),
        }
    }

    fn numeric(self, argument: &Val<'_>) -> Val<'static> {
        let Some(number) = argument.number() else { return Val::Null };
        Val::finite(match self {
            Self::Abs => number.abs(),
            Self::Ceil => number.ceil(),
            Self::Floor => number.floor(),
            Self::Log => number.ln(),
            _ => number.sqrt(),
        })
    }

    fn textual(self, arguments: &[Val<'_>]) -> Val<'static> {
        let texts: Option<Vec<Cow<'_, str>>> = arguments.iter().map(Val::shown).collect();
        let Some(texts) = texts else { return self.of_missing() };
        let number = |at: usize| arguments.get(at).and_then(Val::number);
        let text = texts[0].as_ref();
        let second = texts.get(1).map_or("", |text| text.as_ref());
        match self {
            Self::TrimStart | Self::TrimEnd | Self::Trim => {
                let chars = texts.get(1).map(|chars| chars.as_ref());
                Val::text(self.trimmed(text, chars).to_owned())
            }
            Self::Length => Val::Number(text.chars().count() as f64),
            Self::Upper => bounded(text.to_uppercase()),
            Self::Lower => bounded(text.to_lowercase()),
            Self::Substring => {
                let Some(start) = number(1) else { return Val::Null };
                let length = if arguments.len() == 3 { number(2) } else { Some(f64::MAX) };
                let Some(length) = length else { return Val::Null };
                let part = text.chars().skip(start.max(0.0) as usize).take(length.max(0.0) as usize);
                Val::text(part.collect::<String>())
            }
            Self::Replace => replace(text, second, &texts[2]),
            Self::Contains if arguments.get(2).is_some_and(Val::holds) => {
                Val::Bool(text.to_lowercase().contains(&second.to_lowercase()))
            }
            Self::Contains => Val::Bool(text.contains(second)),
            Self::StartsWith => Val::Bool(text.starts_with(second)),
            Self::EndsWith => Val::Bool(text.ends_with(second)),
            _ => Val::Bool(self.of_address(text, second)),
        }
    }

    /// Questions about something that is missing are answered with no; everything else gives nothing.
    fn of_missing(self) -> Val<'static> {
        match self {
            Self::TrimStart | Self::TrimEnd | Self::Trim | Self::Length | Self::Upper => Val::Null,
            Self::Lower | Self::Substring | Self::Replace => Val::Null,
            _ => Val::Bool(false),
        }
    }

    fn trimmed<'t>(self, text: &'t str, chars: Option<&str>) -> &'t str {
        let wanted = |c: char| chars.map_or(c.is_whitespace(), |chars| chars.contains(c));
        match self {
            Self::TrimStart => text.trim_start_matches(wanted),
            Self::TrimEnd => text.trim_end_matches(wanted),
            _ => text.trim_matches(wanted),
        }
    }

    fn of_address(self, text: &str, subnet: &str) -> bool {
        let address: Option<IpAddr> = text.trim().parse().ok();
        match (self, address) {
            (_, None) => false,
            (Self::IsIp, Some(_)) => true,
            (Self::IsIpv4, Some(address)) => address.is_ipv4(),
            (Self::IsIpv6, Some(address)) => address.is_ipv6(),
            (Self::IsIpv4In, Some(IpAddr::V6(_))) | (Self::IsIpv6In, Some(IpAddr::V4(_))) => false,
            (_, Some(address)) => is_in_subnet(address, subnet).unwrap_or(false),
        }
    }
}

fn extreme(arguments: &[Val<'_>], better: fn(f64, f64) -> f64) -> Val<'static> {
    let numbers = arguments.iter().filter_map(Val::number);
    numbers.reduce(better).map_or(Val::Null, Val::Number)
}

/// Missing parts are left out; nothing when all are missing.
fn concat(arguments: &[Val<'_>]) -> Val<'static> {
    if arguments.iter().all(Val::is_null) {
        return Val::Null;
    }
    let mut whole = String::new();
    for part in arguments.iter().filter_map(Val::shown) {
        whole.push_str(&part);
        if whole.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    bounded(whole)
}

/// Conditions, each with its value behind it, and perhaps a value for when none holds.
fn case(mut arguments: Vec<Val<'_>>) -> Val<'_> {
    let found = arguments.chunks(2).position(|pair| pair.len() == 1 || pair[0].holds());
    match found {
        Some(at) => arguments.swap_remove((2 * at + 1).min(arguments.len() - 1)),
        None => Val::Null,
    }
}

/// Every occurrence replaced, as far as the result stays within its limit.
fn replace(text: &str, search: &str, by: &str) -> Val<'static> {
    if search.is_empty() {
        return Val::text(text.to_owned());
    }
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(search) {
        whole.push_str(&rest[..at]);
        whole.push_str(by);
        rest = &rest[at + search.len()..];
        if whole.len() > TEXT_BYTES_MAX {
            return bounded(whole);
        }
    }
    whole.push_str(rest);
    bounded(whole)
}

/// A computed text, cut to its limit.
fn bounded(mut text: String) -> Val<'static> {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
    Val::text(text)
}

/// Whether the text is a JSON object or array.
fn is_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether the address lies in `192.0.2.0/24` or `2001:db8::/32`; `None` when that is no subnet.
fn is_in_subnet(address: IpAddr, subnet: &str) -> Option<bool> {
    let (start, bits) = subnet.trim().split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match (address, start.parse().ok()?) {
        (IpAddr::V4(address), IpAddr::V4(start)) => {
            let mask = mask(bits, Ipv4Addr::BITS)? as u32;
            Some((address.to_bits() ^ start.to_bits()) & mask == 0)
        }
        (IpAddr::V6(address), IpAddr::V6(start)) => {
            let mask = mask(bits, Ipv6Addr::BITS)?;
            Some((address.to_bits() ^ start.to_bits()) & mask == 0)
        }
        _ => Some(false),
    }
}

/// `bits` ones in front of zeros, in a word of `of` bits.
fn mask(bits: u32, of: u32) -> Option<u128> {
    let free = of.checked_sub(bits)?;
    Some(u128::MAX.checked_shl(free).unwrap_or(0))
}
