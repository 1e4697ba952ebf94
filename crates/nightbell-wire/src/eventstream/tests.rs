use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).unwrap();
    out
}

fn decoded(bytes: &[u8]) -> Result<Option<Message>, MessageError> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    decoder.message()
}

/// The bytes were written by another implementation: Python's struct and zlib.
#[test]
fn messages_are_these_bytes() {
    let message = |headers: &[(&str, &str)], payload: &'static str| Message {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload: payload.into(),
    };
    let table = [
        ("000000100000000005c248eb7d98c8ff", message(&[], "")),
        ("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936", message(&[], "{'foo':'bar'}")),
        (
            "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f\
             273a27626172277d8d9c08b1",
            message(&[("content-type", "application/json")], "{'foo':'bar'}"),
        ),
    ];
    for (hex, message) in table {
        assert_eq!(encoded(&message), bytes(hex));
        assert_eq!(decoded(&bytes(hex)), Ok(Some(message)));
    }
}

#[test]
fn headers_of_other_types_are_read_over() {
    let all = "000000600000004f1a73f4250161000162010163020101640300020165040000000301660500000000000000000167\
               06000268690168070004746578740169080000000000000000016a090101010101010101010101010101010178cdab09c9";
    let message = decoded(&bytes(all)).unwrap().unwrap();
    assert_eq!(message.headers, [("h".to_owned(), "text".to_owned())]);
    assert_eq!(&message.payload[..], b"x");
}

#[test]
fn events_and_exceptions_say_what_they_are() {
    let event = Message::event("sessionUpdate", "application/json", "{}");
    assert_eq!(event.header(":message-type"), Some("event"));
    assert_eq!(event.header(":event-type"), Some("sessionUpdate"));
    assert_eq!(event.header(":content-type"), Some("application/json"));
    let exception = Message::exception("SessionTimeoutException", "application/json", "{}");
    assert_eq!(exception.header(":message-type"), Some("exception"));
    assert_eq!(exception.header(":exception-type"), Some("SessionTimeoutException"));
    assert_eq!(exception.header(":event-type"), None);
}

/// A message whose checksums are right and whose inside is as given.
fn sealed(headers: &[u8], payload: &[u8], total: u32, headers_bytes: u32) -> Vec<u8> {
    let mut out = [total.to_be_bytes(), headers_bytes.to_be_bytes()].concat();
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[test]
fn what_is_no_message_is_refused() {
    let headers = |headers: &[u8]| sealed(headers, b"", (16 + headers.len()) as u32, headers.len() as u32);
    for bad in [
        sealed(b"", b"", 15, 0),
        sealed(b"", b"", 0, 0),
        sealed(b"", b"", 20, 5),
        headers(b"\x05ab"),
        headers(b"\x01a"),
        headers(b"\x01a\x07\x00"),
        headers(b"\x01a\x07\x00\x09x"),
        headers(b"\x01a\x0ax"),
        headers(b"\x01\xff\x00"),
        headers(b"\x01a\x07\x00\x01\xff"),
    ] {
        assert!(matches!(decoded(&bad), Err(MessageError::Malformed(_))), "{bad:02x?}: {:?}", decoded(&bad));
    }
}

#[test]
fn a_length_over_its_limit_is_refused_before_it_has_come() {
    let payload = decoded(&sealed(b"", b"", (16 + PAYLOAD_BYTES_MAX + 1) as u32, 0)[..12]);
    assert_eq!(
        payload.unwrap_err().to_string(),
        "payload: 16777217 bytes are more than the limit of 16777216"
    );
    let headers = decoded(&sealed(b"", b"", u32::MAX, HEADERS_BYTES_MAX as u32 + 1)[..12]);
    assert!(matches!(headers, Err(MessageError::TooLong { part: "headers", .. })));
}

#[test]
fn what_has_no_room_in_a_message_is_not_written() {
    let mut out = b"before".to_vec();
    let long = |headers, payload| Message { headers, payload };
    for (message, part) in [
        (long(vec![("n".repeat(256), String::new())], Bytes::new()), "name of a header"),
        (long(vec![("n".into(), "v".repeat(65_536))], Bytes::new()), "value of a header"),
        (long(vec![("n".into(), "v".repeat(60_000)); 3], Bytes::new()), "headers"),
        (long(Vec::new(), vec![0; PAYLOAD_BYTES_MAX + 1].into()), "payload"),
    ] {
        let error = message.encode(&mut out).unwrap_err();
        assert!(matches!(error, MessageError::TooLong { part: told, .. } if told == part), "{error}");
        assert_eq!(out, b"before");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_in_any_pieces(
        headers in prop::collection::vec((".{1,9}", ".{0,20}"), 0..4),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4),
        piece in 1_usize..50,
    ) {
        let message = |payload: &Vec<u8>| Message { headers: headers.clone(), payload: payload.clone().into() };
        let messages: Vec<Message> = payloads.iter().map(message).collect();
        let mut body = Vec::new();
        for message in &messages {
            message.encode(&mut body).unwrap();
        }
        let (mut decoder, mut read) = (Decoder::default(), Vec::new());
        for piece in body.chunks(piece) {
            decoder.push(piece);
            while let Some(message) = decoder.message().unwrap() {
                read.push(message);
            }
        }
        prop_assert_eq!(read, messages);
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn any_changed_byte_is_found(at in 0_usize..70, by in 1_u8..) {
        let message = Message::event("sessionStart", "application/json", "{}");
        let mut changed = encoded(&message);
        let at = at % changed.len();
        changed[at] ^= by;
        // A length that grew waits for bytes that never come; it is found by the prelude's checksum.
        prop_assert!(decoded(&changed).is_err());
    }
}
