//! Mails as clients say them, and as they go out.

use mailparse::{MailHeaderMap, ParsedMail, parse_mail};

use super::*;

fn stamp() -> Stamp {
    Stamp {
        message_id: "<a1-b2@nightbell.example.org>".to_owned(),
        date: Timestamp::from_millis(1_789_364_521_123),
    }
}

fn letter() -> Letter {
    Letter {
        from: correspondent("ops@example.org").unwrap(),
        to: vec![correspondent("ann@example.org").unwrap()],
        cc: Vec::new(),
        reply_to: Vec::new(),
        subject: "ALARM: files".to_owned(),
        text: None,
        html: Some("<p>Häufung</p>".to_owned()),
        headers: Vec::new(),
    }
}

fn composed(letter: &Letter) -> (String, Vec<u8>) {
    let bytes = compose(letter, &stamp()).unwrap();
    (String::from_utf8(bytes.clone()).unwrap(), bytes)
}

fn header(mail: &ParsedMail<'_>, name: &str) -> String {
    mail.headers.get_first_value(name).unwrap_or_default()
}

#[test]
fn html_alone_is_one_part_of_utf_8() {
    let (text, bytes) = composed(&letter());
    let mail = parse_mail(&bytes).unwrap();
    assert_eq!(header(&mail, "Content-Type"), "text/html; charset=utf-8", "M01");
    assert_eq!(mail.get_body().unwrap().trim_end(), "<p>Häufung</p>", "M01");
    assert_eq!(header(&mail, "Message-ID"), "<a1-b2@nightbell.example.org>");
    assert_eq!(header(&mail, "Date"), "Mon, 14 Sep 2026 05:42:01 +0000");
    assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
}

#[test]
fn text_goes_before_html() {
    let (_, bytes) = composed(&Letter { text: Some("plain".to_owned()), ..letter() });
    let mail = parse_mail(&bytes).unwrap();
    let kinds: Vec<&str> = mail.subparts.iter().map(|part| part.ctype.mimetype.as_str()).collect();
    assert_eq!(
        (mail.ctype.mimetype.as_str(), kinds),
        ("multipart/alternative", vec!["text/plain", "text/html"]),
        "M03"
    );
}

#[test]
fn headers_are_encoded_and_none_is_smuggled_in() {
    let (text, bytes) = composed(&Letter {
        subject: "Häufung\r\nBcc: everyone@example.org".to_owned(),
        from: correspondent("=?utf-8?q?Wache=2C_S=C3=BCd?= <ops@example.org>").unwrap(),
        cc: vec![correspondent("\"Bob, the builder\" <bob@example.org>").unwrap()],
        reply_to: vec![correspondent("desk@example.org").unwrap()],
        headers: vec![("X-Case".to_owned(), "7".to_owned())],
        ..letter()
    });
    let mail = parse_mail(&bytes).unwrap();
    assert_eq!(header(&mail, "Subject"), "Häufung Bcc: everyone@example.org", "M07, M08");
    assert!(text.contains("=?utf-8?"), "M07 {text}");
    assert!(mail.headers.get_first_header("Bcc").is_none(), "M08");
    assert_eq!(header(&mail, "From"), "Wache, Süd <ops@example.org>", "an encoded word has no quotes");
    assert_eq!(header(&mail, "Cc").replace('"', ""), "Bob, the builder <bob@example.org>");
    assert!(
        text.contains("Cc: \"Bob, the builder\" <bob@example.org>") || text.contains("Cc: =?utf-8?"),
        "{text}"
    );
    assert_eq!((header(&mail, "Reply-To"), header(&mail, "X-Case")), ("desk@example.org".into(), "7".into()));
}

#[test]
fn what_cannot_stand_in_a_mail_is_refused() {
    for (name, value) in
        [("Bcc", "x@y"), ("X y", "1"), ("X:", "1"), ("", "1"), ("X-A", "a\r\nB: c"), ("X-A", "ü")]
    {
        let wrong = Letter { headers: vec![(name.to_owned(), value.to_owned())], ..letter() };
        assert!(compose(&wrong, &stamp()).is_err(), "{name:?} {value:?}");
    }
    assert!(compose(&Letter { html: None, ..letter() }, &stamp()).is_err());
    for bad in [
        "",
        "nobody",
        "a@b, c@d",
        "a@b\r\nBcc: c@d",
        "jürgen@example.org",
        "a@exämple.org",
        "<a b@c>",
        "@",
        "a@",
    ] {
        assert!(correspondent(bad).is_err(), "{bad:?}");
    }
    assert_eq!(correspondent("Ann <ann@example.org>").unwrap().name.as_deref(), Some("Ann"));
}

const RAW: &str = "Received: from a\n\tby b\nFrom: Ops <ops@example.org>\nTo: ann@example.org,\n bob@example.org\nCc: cc@example.org\n\
                   bcc: hidden@example.org,\n \thidden2@example.org\nReturn-Path: <bounce@example.org>\nMessage-Id: <theirs@x>\n\
                   Date: yesterday\nX-SES-CONFIGURATION-SET: s\nSubject: x\rBCC: hidden3@example.org\n\nBcc: in the body\r\nline\rend";

fn addresses(found: &[Correspondent]) -> Vec<&str> {
    found.iter().map(|one| one.address.as_str()).collect()
}

#[test]
fn a_whole_mail_is_given_our_id_and_loses_its_hidden_copies() {
    let (head, out) = rewrite(RAW.as_bytes(), &stamp()).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "Date: Mon, 14 Sep 2026 05:42:01 +0000\r\nMessage-ID: <a1-b2@nightbell.example.org>\r\nReceived: from a\r\n\tby b\r\n\
         From: Ops <ops@example.org>\r\nTo: ann@example.org,\r\n bob@example.org\r\nCc: cc@example.org\r\nSubject: x\r\n\r\n\
         Bcc: in the body\r\nline\r\nend\r\n",
        "M06"
    );
    let everybody = [
        "ann@example.org",
        "bob@example.org",
        "cc@example.org",
        "hidden@example.org",
        "hidden2@example.org",
        "hidden3@example.org",
    ];
    assert_eq!(addresses(&head.recipients), everybody, "M06");
    assert_eq!(addresses(&head.from), ["ops@example.org"]);
    assert_eq!(addresses(&head.return_path), ["bounce@example.org"]);
}

#[test]
fn a_head_that_is_none_is_refused() {
    let told = |raw: &[u8]| rewrite(raw, &stamp()).unwrap_err().to_string();
    assert_eq!(told(b"To: a@b\n\nx"), "Missing required header 'From'.");
    assert_eq!(told(b""), "Missing required header 'From'.");
    assert_eq!(told(b"From: a@b\nFrom: c@d\n\nx"), "Duplicate header 'From'.");
    assert!(told(b"just text\n\nx").starts_with("Not a header line: 'just text"));
    assert!(told(b"From: nobody\n\nx").starts_with("Missing final"));
    assert!(told(&[b'a'; HEAD_BYTES_MAX * 2]).starts_with("The headers are more than"));
    let long = format!("From: a@b.c\n{}\n\n", "X: y\n".repeat(HEAD_BYTES_MAX / 5 + 1));
    assert!(told(long.as_bytes()).starts_with("The headers are more than"));
}

proptest::proptest! {
    #[test]
    fn no_mail_of_any_bytes_panics_or_shows_a_hidden_copy(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let mut whole = b"From: a@b.c\nBcc: x@y.z\n".to_vec();
        whole.extend_from_slice(&raw);
        if let Ok((_, out)) = rewrite(&whole, &stamp()) {
            let text = String::from_utf8_lossy(&out).into_owned();
            let head = text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
            proptest::prop_assert!(!head.contains("\r\nbcc"), "{head:?}");
            proptest::prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
