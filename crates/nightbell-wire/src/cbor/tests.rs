use super::*;
use crate::value::{Blob, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize, PartialEq, Debug, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Sample {
    name: String,
    value: Option<f64>,
    count: Option<i64>,
    small: Option<u8>,
    at: Option<Time>,
    raw: Option<Blob>,
    on: Option<bool>,
    list: Vec<f64>,
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    decode(&hex(text))
}

/// The examples of RFC 8949, appendix A, as far as the protocol uses them.
#[test]
fn floats_of_every_width_and_integers_are_floats() {
    let table = [
        ("f90000", 0.0),
        ("f98000", -0.0),
        ("f93c00", 1.0),
        ("f93e00", 1.5),
        ("f97bff", 65504.0),
        ("f90001", 5.960_464_477_539_063e-8),
        ("f90400", 0.000_061_035_156_25),
        ("f9c400", -4.0),
        ("fb3ff199999999999a", 1.1),
        ("fa47c35000", 100_000.0),
        ("fa7f7fffff", 3.402_823_466_385_288_6e38),
        ("f97c00", f64::INFINITY),
        ("f9fc00", f64::NEG_INFINITY),
        ("1864", 100.0),
        ("3863", -100.0),
        ("1bffffffffffffffff", u64::MAX as f64),
        ("c11a514b67b0", 1_363_896_240.0),
    ];
    for (text, value) in table {
        assert_eq!(read::<f64>(text).unwrap().to_bits(), value.to_bits(), "{text}");
    }
    assert!(read::<f64>("f97e00").unwrap().is_nan());
}

#[test]
fn integers_of_every_width_and_whole_floats_are_integers() {
    let table = [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1b000000e8d4a51000", 1_000_000_000_000),
        ("20", -1),
        ("3903e7", -1000),
        ("3b7fffffffffffffff", i64::MIN),
        ("f93c00", 1),
        ("fbc010000000000000", -4),
        ("fb4340000000000000", 1 << 53),
    ];
    for (text, value) in table {
        assert_eq!(read::<i64>(text).unwrap(), value, "{text}");
    }
    for refused in
        ["f93e00", "f97e00", "f97c00", "fb4340000000000001", "3bffffffffffffffff", "6131", "f5", "f6"]
    {
        assert!(read::<i64>(refused).is_err(), "{refused}");
    }
    assert!(read::<u8>("190100").is_err());
    assert!(read::<u8>("20").is_err());
}

#[test]
fn strings_arrays_and_maps_of_both_lengths() {
    assert_eq!(read::<String>("7f657374726561646d696e67ff").unwrap(), "streaming");
    assert_eq!(read::<Blob>("5f42010243030405ff").unwrap(), Blob(vec![1, 2, 3, 4, 5]));
    assert_eq!(read::<Blob>("4401020304").unwrap(), Blob(vec![1, 2, 3, 4]));
    assert_eq!(read::<Vec<u64>>("9f0102ff").unwrap(), [1, 2]);
    assert_eq!(read::<Vec<u64>>("83010203").unwrap(), [1, 2, 3]);
    let map = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(read::<BTreeMap<String, i32>>("bf61610161 6202ff").unwrap(), map);
    assert_eq!(read::<BTreeMap<String, i32>>("a2616101616202").unwrap(), map);
    assert_eq!(read::<Option<i64>>("f6").unwrap(), None);
    assert_eq!(read::<Option<i64>>("f7").unwrap(), None);
}

#[test]
fn structs_ignore_unknown_members_and_take_an_empty_body() {
    let sample: Sample = read(
        "a4 644e616d65 6161 6556616c7565 05 67556e6b6e6f776e 82a16161f69f01ff 624174 c1fb41da56e4000624dd",
    )
    .unwrap();
    assert_eq!(sample.name, "a");
    assert_eq!(sample.value, Some(5.0));
    assert!(sample.at.is_some());
    assert_eq!(decode::<Sample>(b"").unwrap(), Sample::default());
    assert_eq!(read::<Time>("c11a514b67b0").unwrap(), Time(1_363_896_240_000));
    assert_eq!(read::<Time>("c1fb41d452d9ec200000").unwrap(), Time(1_363_896_240_500));
}

#[test]
fn broken_input_is_refused() {
    let table = [
        "18",
        "1b00",
        "61",
        "6261",
        "5f41",
        "5f4101",
        "5f6161ff",
        "7f4161ff",
        "7f7f6161ffff",
        "81",
        "9f01",
        "a1",
        "a16161",
        "bf6161ff",
        "ff",
        "1c",
        "1f",
        "3f",
        "df00",
        "f8ff",
        "fc",
        "f9",
        "fa0000",
        "0000",
        "61ff",
        "9bffffffffffffffff01",
        "bbffffffffffffffff",
        "7bffffffffffffffff61",
        "c1",
        "c1c1c1",
    ];
    for text in table {
        assert!(read::<serde_json::Value>(text).is_err(), "{text}");
        assert!(read::<serde::de::IgnoredAny>(text).is_err(), "ignored {text}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    for (open, name) in [(0x81_u8, "array"), (0x9f, "indefinite array")] {
        let nested = |depth: usize| {
            let mut body = vec![open; depth];
            body.push(if open == 0x81 { 0x00 } else { 0xff });
            if open == 0x9f {
                body.extend(vec![0xff; depth - 1]);
            }
            body
        };
        assert!(decode::<serde_json::Value>(&nested(CBOR_DEPTH_MAX)).is_ok(), "{name}");
        for depth in [CBOR_DEPTH_MAX + 1, 1_000_000] {
            assert!(decode::<serde_json::Value>(&nested(depth)).is_err(), "{name} {depth}");
            assert!(decode::<serde::de::IgnoredAny>(&nested(depth)).is_err(), "{name} {depth}");
            assert!(decode::<Sample>(&nested(depth)).is_err(), "{name} {depth}");
        }
    }
    let tags = vec![0xc1; 1_000_000];
    assert!(decode::<Sample>(&tags).is_err());
}

#[test]
fn siblings_do_not_count_as_depth() {
    let mut body = vec![0x98, 200];
    body.extend([0x81, 0x01].repeat(200));
    assert_eq!(decode::<Vec<Vec<u8>>>(&body).unwrap().len(), 200);
}

#[test]
fn errors_name_the_member() {
    let error = read::<Sample>("a1 644c697374 82 01 6178").unwrap_err();
    assert_eq!(error.path, "List[1]");
    assert!(error.message.contains("invalid type: string \"x\", expected f64"), "{error}");
}

#[test]
fn unit_is_no_body_and_time_is_tagged() {
    assert_eq!(encode(&()).unwrap(), b"");
    assert_eq!(encode(&Time(1_363_896_240_000)).unwrap(), hex("c11a514b67b0"));
    assert_eq!(encode(&Time(1_363_896_240_500)).unwrap(), hex("c1fb41d452d9ec200000"));
    assert_eq!(encode(&Blob(vec![1, 2])).unwrap(), hex("420102"));
}
