/*!
What is encoded decodes to the same value, per protocol. The form's writer and the XML's reader are the tests' own.
*/

use http::{HeaderMap, Method, Uri};
use nightbell_wire::value::{Blob, TIME_MILLIS_MAX, TIME_MILLIS_MIN, Time};
use nightbell_wire::{Call, Frame, Protocol, call, decode, encode};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Sample {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<String>,
    whole: i64,
    small: u8,
    float: f64,
    flag: bool,
    time: Time,
    blob: Blob,
    list: Vec<f64>,
    map: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inner: Vec<Sample>,
}

/// Any characters, control characters too.
fn texts() -> impl Strategy<Value = String> {
    "(?s).{0,12}"
}

fn times() -> impl Strategy<Value = Time> {
    prop_oneof![TIME_MILLIS_MIN..=TIME_MILLIS_MAX, 0..2_000_000_000_000_i64].prop_map(Time)
}

fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        (-1000..1000_i32).prop_map(f64::from)
    ]
}

fn samples() -> impl Strategy<Value = Sample> {
    let scalars = (texts(), option::of(texts()), any::<i64>(), any::<u8>(), floats(), any::<bool>());
    let others = (times(), vec(any::<u8>(), 0..20), vec(floats(), 0..5), btree_map(texts(), texts(), 0..4));
    let leaf = (scalars, others)
        .prop_map(|((text, maybe, whole, small, float, flag), (time, blob, list, map))| Sample {
            text,
            maybe,
            whole,
            small,
            float,
            flag,
            time,
            blob: Blob(blob),
            list,
            map,
            inner: vec![],
        })
        .boxed();
    leaf.clone().prop_recursive(3, 8, 3, move |inner| {
        (leaf.clone(), vec(inner, 0..3)).prop_map(|(sample, inner)| Sample { inner, ..sample })
    })
}

fn rpc(protocol: Protocol) -> Call {
    let mut headers = HeaderMap::new();
    let uri = if protocol == Protocol::Cbor {
        headers.insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
        "/service/S/operation/O"
    } else {
        headers.insert("x-amz-target", "S.O".parse().unwrap());
        "/"
    };
    call::read(&Method::POST, &Uri::from_static(uri), &headers, b"").unwrap()
}

fn frame(protocol: Protocol) -> Frame<'static> {
    Frame { protocol, operation: "O", xmlns: "urn:x", request_id: "r" }
}

/// A sample as a form, in the spelling of awsQuery.
fn form_into(pairs: &mut Vec<(String, String)>, prefix: &str, sample: &Sample) {
    let mut put = |name: &str, value: String| pairs.push((format!("{prefix}{name}"), value));
    put("Text", sample.text.clone());
    if let Some(maybe) = &sample.maybe {
        put("Maybe", maybe.clone());
    }
    put("Whole", sample.whole.to_string());
    put("Small", sample.small.to_string());
    put("Float", format!("{:?}", sample.float));
    put("Flag", sample.flag.to_string());
    put("Time", sample.time.to_iso().unwrap());
    put("Blob", serde_json::to_value(&sample.blob).unwrap().as_str().unwrap().to_owned());
    for (index, value) in sample.list.iter().enumerate() {
        put(&format!("List.member.{}", index + 1), value.to_string());
    }
    for (index, (key, value)) in sample.map.iter().enumerate() {
        put(&format!("Map.entry.{}.key", index + 1), key.clone());
        put(&format!("Map.entry.{}.value", index + 1), value.clone());
    }
    for (index, inner) in sample.inner.iter().enumerate() {
        form_into(pairs, &format!("{prefix}Inner.member.{}.", index + 1), inner);
    }
}

fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// An element as read back: its name, its text, its children.
#[derive(Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

fn read_xml(xml: &str) -> Element {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
            }
            Event::End(_) => {
                let element = open.pop().unwrap();
                open.last_mut().unwrap().children.push(element);
            }
            Event::Text(text) => open.last_mut().unwrap().text += &text,
            Event::GeneralRef(entity) => {
                let entity = format!("&{};", &*entity);
                open.last_mut().unwrap().text += &quick_xml::escape::unescape(&entity).unwrap();
            }
            Event::Eof => return open.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

impl Element {
    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    fn text_of(&self, name: &str) -> &str {
        &self.child(name).unwrap().text
    }
}

/// What XML carries of a text.
fn carried(text: &str) -> String {
    let lost = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if lost(c) { '\u{fffd}' } else { c }).collect()
}

fn assert_same_xml(element: &Element, sample: &Sample) {
    assert_eq!(element.text_of("Text"), carried(&sample.text));
    assert_eq!(element.child("Maybe").map(|child| child.text.clone()), sample.maybe.as_deref().map(carried));
    assert_eq!(element.text_of("Whole").parse(), Ok(sample.whole));
    assert_eq!(element.text_of("Small").parse(), Ok(sample.small));
    assert_eq!(element.text_of("Float").parse(), Ok(sample.float));
    assert_eq!(element.text_of("Flag").parse(), Ok(sample.flag));
    assert_eq!(Time::from_iso(element.text_of("Time")), Some(sample.time));
    let blob = serde_json::Value::from(element.text_of("Blob"));
    assert_eq!(serde_json::from_value::<Blob>(blob).unwrap(), sample.blob);
    let list: Vec<f64> =
        element.child("List").unwrap().children.iter().map(|child| child.text.parse().unwrap()).collect();
    assert_eq!(list, sample.list);
    let entries = &element.child("Map").unwrap().children;
    assert_eq!(entries.len(), sample.map.len());
    for (entry, (key, value)) in entries.iter().zip(&sample.map) {
        assert_eq!((&*entry.name, entry.text_of("key")), ("entry", &*carried(key)));
        assert_eq!(entry.text_of("value"), carried(value));
    }
    let inner = element.child("Inner").map_or(&[][..], |inner| &inner.children);
    assert_eq!(inner.len(), sample.inner.len());
    for (element, sample) in inner.iter().zip(&sample.inner) {
        assert_same_xml(element, sample);
    }
}

proptest! {
    #[test]
    fn json(sample in samples()) {
        let body = encode(&frame(Protocol::Json11), &sample).unwrap().body;
        prop_assert_eq!(decode::<Sample>(&rpc(Protocol::Json11), &body).unwrap(), sample);
    }

    #[test]
    fn cbor(sample in samples()) {
        let body = encode(&frame(Protocol::Cbor), &sample).unwrap().body;
        prop_assert_eq!(decode::<Sample>(&rpc(Protocol::Cbor), &body).unwrap(), sample);
    }

    #[test]
    fn form(sample in samples(), seed in any::<usize>()) {
        let mut pairs = vec![("Action".to_owned(), "O".to_owned())];
        form_into(&mut pairs, "", &sample);
        let turn = seed % pairs.len();
        pairs.rotate_left(turn);
        let body: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect();
        let body = body.join("&");
        let call = call::read(&Method::POST, &Uri::from_static("/"), &HeaderMap::new(), body.as_bytes());
        // `Action` is looked for by its plain spelling, which `escape` keeps.
        let call = call.unwrap();
        prop_assert_eq!(&call.operation, "O");
        prop_assert_eq!(decode::<Sample>(&call, body.as_bytes()).unwrap(), sample);
    }

    #[test]
    fn xml(sample in samples()) {
        let body = encode(&frame(Protocol::Query), &sample).unwrap().body;
        let root = read_xml(std::str::from_utf8(&body).unwrap());
        let response = root.child("OResponse").unwrap();
        prop_assert_eq!(response.child("ResponseMetadata").unwrap().text_of("RequestId"), "r");
        assert_same_xml(response.child("OResult").unwrap(), &sample);
    }
}
