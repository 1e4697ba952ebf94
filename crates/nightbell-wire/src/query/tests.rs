use super::*;
use crate::value::{Blob, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize, PartialEq, Debug, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Sample {
    name: Option<String>,
    count: Option<i32>,
    value: Option<f64>,
    on: Option<bool>,
    at: Option<Time>,
    raw: Option<Blob>,
    unit: Option<Unit>,
    names: Vec<String>,
    parts: Vec<Sample>,
    map: BTreeMap<String, String>,
    attributes: BTreeMap<String, Attribute>,
    inner: Option<Box<Sample>>,
}

#[derive(Deserialize, PartialEq, Debug)]
enum Unit {
    Count,
    #[serde(rename = "Count/Second")]
    CountPerSecond,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    data_type: String,
    binary_value: Option<Blob>,
}

fn read(form: &str) -> Sample {
    decode(form).unwrap_or_else(|error| panic!("{form}: {error}"))
}

fn refused(form: &str) -> DecodeError {
    decode::<Sample>(form).expect_err(form)
}

#[test]
fn scalars_are_read_as_what_the_struct_asks_for() {
    let sample = read(
        "Name=a+b%26%C3%BC&Count=-5&Value=1e-7&On=TRUE&At=2026-01-05T10%3A19%3A00.25Z&Raw=AP8Q&Unit=Count%2FSecond",
    );
    assert_eq!(sample.name.as_deref(), Some("a b&ü"));
    assert_eq!(sample.count, Some(-5));
    assert_eq!(sample.value, Some(1e-7));
    assert_eq!(sample.on, Some(true));
    assert_eq!(sample.at, Some(Time(1_767_608_340_250)));
    assert_eq!(sample.raw, Some(Blob(vec![0, 255, 16])));
    assert_eq!(sample.unit, Some(Unit::CountPerSecond));
    assert_eq!(read("Count=5.0").count, Some(5));
    assert_eq!(read("Value=5").value, Some(5.0));
    assert_eq!(read("Value=-Infinity").value, Some(f64::NEG_INFINITY));
    assert_eq!(read("Name=").name.as_deref(), Some(""));
    assert_eq!(read("Name").name.as_deref(), Some(""));
    assert_eq!(read("Name=a=b").name.as_deref(), Some("a=b"));
    assert_eq!(read("Name=007").name.as_deref(), Some("007"));
    assert_eq!(read(""), Sample::default());
    assert_eq!(read("&&Action=X&Version=1&Unknown.member.1.A=2&Unknown=3&"), Sample::default());
}

#[test]
fn lists_come_in_the_order_of_their_numbers() {
    for form in [
        "Names.member.1=a&Names.member.2=b&Names.member.10=c",
        "Names.member.10=c&Names.member.2=b&Names.member.1=a",
        "Names.1=a&Names.2=b&Names.10=c",
        "Names.member.0=a&Names.member.7=b&Names.member.4000000000=c",
    ] {
        assert_eq!(read(form).names, ["a", "b", "c"], "{form}");
    }
    assert!(read("Names=").names.is_empty());
    let sample = read(
        "Parts.member.2.Name=y&Parts.member.1.Name=x&Parts.member.1.Parts.member.1.Count=1&Parts.member.1.Names.member.1=n",
    );
    assert_eq!(sample.parts.len(), 2);
    assert_eq!(sample.parts[0].name.as_deref(), Some("x"));
    assert_eq!(sample.parts[0].parts[0].count, Some(1));
    assert_eq!(sample.parts[0].names, ["n"]);
    assert_eq!(sample.parts[1].name.as_deref(), Some("y"));
}

#[test]
fn maps_come_in_their_three_spellings() {
    let expected = BTreeMap::from([("k1".to_owned(), "v1".to_owned()), ("k2".to_owned(), String::new())]);
    for form in [
        "Map.entry.1.key=k1&Map.entry.1.value=v1&Map.entry.2.key=k2&Map.entry.2.value=",
        "Map.1.key=k1&Map.1.value=v1&Map.2.key=k2&Map.2.value=",
        "Map.entry.1.Name=k1&Map.entry.1.Value=v1&Map.entry.2.Name=k2&Map.entry.2.Value=",
        "Map.k1=v1&Map.k2=",
    ] {
        assert_eq!(read(form).map, expected, "{form}");
    }
    let form = "Attributes.entry.1.Name=n&Attributes.entry.1.Value.DataType=Binary&Attributes.entry.1.Value.BinaryValue=AP8Q";
    let attribute = Attribute { data_type: "Binary".into(), binary_value: Some(Blob(vec![0, 255, 16])) };
    assert_eq!(read(form).attributes, BTreeMap::from([("n".to_owned(), attribute)]));
}

#[test]
fn keys_that_sort_oddly_keep_their_groups() {
    let sample = read("Inner-x=1&Inner.Name=a&Inner%21=2&Inner.Count=3&Inner%20b=4&InnerName=5&Inner=");
    let inner = sample.inner.unwrap();
    assert_eq!((inner.name.as_deref(), inner.count), (Some("a"), Some(3)));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let table = [
        ("Count=x", "Count"),
        ("Count=", "Count"),
        ("Count=1.5", "Count"),
        ("Count=3000000000", "Count"),
        ("Count.member.1=1", "Count"),
        ("On=yes", "On"),
        ("At=soon", "At"),
        ("Raw=%2A", "Raw"),
        ("Unit=Bananas", "Unit"),
        ("Names=a", "Names"),
        ("Names.member.x=a", "Names"),
        ("Names.member.-1=a", "Names"),
        ("Names.member.99999999999=a", "Names"),
        ("Parts.member.1=a", "Parts[0]"),
        ("Parts.member.1.Count=x", "Parts[0].Count"),
        ("Map=a", "Map"),
        ("Map.entry.1.value=a", "Map"),
        ("Map.entry.1.key=a", "Map"),
        ("Inner.Inner.On=2", "Inner.Inner.On"),
        ("Name.a=b", "Name"),
        ("Name=a&Name=b", ""),
        ("Name=%f", ""),
        ("Name=%ff", ""),
    ];
    for (form, path) in table {
        assert_eq!(refused(form).path, path, "{form}: {}", refused(form));
    }
}

#[test]
fn limits_hold() {
    let many: String = (0..FORM_PAIRS_MAX).map(|n| format!("Names.member.{n}=x&")).collect();
    assert_eq!(read(&many).names.len(), FORM_PAIRS_MAX);
    assert_eq!(refused(&format!("{many}Name=x")).path, "");
    let deep = |parts: usize| format!("{}Name=x", "Inner.".repeat(parts - 1));
    assert!(read(&deep(FORM_DEPTH_MAX)).inner.is_some());
    assert!(refused(&deep(FORM_DEPTH_MAX + 1)).message.contains("deeper"));
    assert!(decode::<Sample>(&"a.".repeat(1_000_000)).is_err());
}

#[test]
fn action_and_version_are_found() {
    let both = |form| find(form, ["Action", "Version"]);
    assert_eq!(both("Version=1&Action=A%42"), Some([Some("AB".into()), Some("1".into())]));
    assert_eq!(both("action=A"), Some([None, None]));
    assert_eq!(both("Action=%"), None);
}
