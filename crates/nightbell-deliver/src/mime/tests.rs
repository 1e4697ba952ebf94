use nightbell_core::delivery::Content;
use nightbell_core::time::Timestamp;

use super::*;
use crate::message::tests;

fn formatted(mail: &Mail) -> String {
    String::from_utf8(message(mail).unwrap().formatted()).expect("only ASCII leaves")
}

fn alarm() -> Mail {
    tests::written(&tests::delivery(Content::Alarm(Box::new(tests::denied()))))
}

/// Header lines of the outermost message, unfolded.
fn headers(text: &str) -> Vec<String> {
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn text_first_then_html() {
    let text = formatted(&alarm());
    assert!(text.is_ascii());
    let headers = headers(&text);
    for header in [
        "Date: Tue, 01 Jun 2021 18:08:47 +0000",
        "From: Nightbell <nightbell@example.org>",
        "To: security@example.org",
        "Message-ID: <5f0c2a@nightbell.example.org>",
        r"Subject: [ALARM] awscorp\fsxclient denied 6 times in \share\secret (1 min)",
        "Auto-Submitted: auto-generated",
        "List-Unsubscribe: <https://bell.example.org/unsubscribe?arn=a&t=1>",
        "MIME-Version: 1.0",
    ] {
        assert!(headers.iter().any(|line| line == header), "{header:?} is not in {headers:#?}");
    }
    let plain = text.find("Content-Type: text/plain; charset=utf-8").unwrap();
    let html = text.find("Content-Type: text/html; charset=utf-8").unwrap();
    assert!(plain < html);
    assert!(text.lines().all(|line| line.len() <= 998), "RFC 5322, 2.1.1");
}

/// `multipart/mixed` of `multipart/related` of `multipart/alternative`; each level only where it is needed.
#[test]
fn pictures_and_files_have_their_places() {
    let picture = Attachment {
        name: "chart.png",
        media_type: "image/png",
        content_id: "chart.5f0c2a@nightbell.example.org".to_owned(),
        content: vec![0x89; 300],
    };
    let file = Attachment {
        name: "events.xml",
        media_type: "application/xml; charset=utf-8",
        content_id: String::new(),
        content: b"<Events/>".to_vec(),
    };
    let mail = Mail { inline: vec![picture], attachments: vec![file], ..alarm() };
    let text = formatted(&mail);
    assert_eq!(text, formatted(&mail));
    let places: Vec<usize> = [
        "Content-Type: multipart/mixed;",
        "Content-Type: multipart/related;",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "--=_nightbell_5f0c2a--",
        "Content-Type: image/png",
        "--=_related_5f0c2a--",
        "Content-Type: application/xml; charset=utf-8",
        "--=_mixed_5f0c2a--",
    ]
    .iter()
    .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    for part in [
        "Content-ID: <chart.5f0c2a@nightbell.example.org>",
        "Content-Disposition: inline; filename=\"chart.png\"",
        "Content-Disposition: attachment; filename=\"events.xml\"",
        "Content-Transfer-Encoding: base64",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 998), "RFC 5322, 2.1.1");
    let without = formatted(&alarm());
    assert!(!without.contains("multipart/mixed") && !without.contains("multipart/related"));
    let single = formatted(&Mail { html: None, attachments: Vec::new(), inline: Vec::new(), ..alarm() });
    assert!(!single.contains("multipart"));
}

#[test]
fn the_same_mail_is_the_same_bytes() {
    assert_eq!(formatted(&alarm()), formatted(&alarm()));
}

#[test]
fn no_value_starts_a_header() {
    let attack = "x\r\nBcc: eve@example.org\r\n\r\nbody";
    let mail = Mail { subject: attack.to_owned(), text: attack.to_owned(), ..alarm() };
    let text = formatted(&mail);
    assert!(!headers(&text).iter().any(|line| line.starts_with("Bcc")), "{text}");
    let addresses = [
        attack,
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org, eve@example.org",
        "\"a\r\nb\"@example.org",
        "Ann <ann@example.org>",
        "ann@example.org>",
        "",
    ];
    for to in addresses {
        let mail = Mail { to: to.to_owned(), ..alarm() };
        assert!(matches!(message(&mail), Err(SendError::Never { .. })), "{to:?}");
    }
    for value in ["a\r\nBcc: eve@example.org", "ä", "a\u{0}"] {
        let mail = Mail { headers: vec![("X-Test", value.to_owned())], ..alarm() };
        assert!(message(&mail).is_err(), "{value:?}");
    }
    let long = Mail { to: format!("{}@example.org", "a".repeat(250)), ..alarm() };
    assert!(message(&long).is_err());
    let from = Mail { from: "a@b\r\nBcc: c@example.org".to_owned(), ..alarm() };
    assert!(message(&from).is_err());
}

#[test]
fn content_can_not_end_its_part() {
    let mail = Mail { text: "--=_nightbell_5f0c2a--\r\nafter".to_owned(), ..alarm() };
    let text = formatted(&mail);
    assert_eq!(text.matches("\r\n--=_nightbell_5f0c2a--").count(), 1, "{text}");
}

#[test]
fn dates_stay_inside_the_calendar() {
    for (ms, year) in [(i64::MIN, "1970"), (-1, "1970"), (i64::MAX, "9999")] {
        let text = formatted(&Mail { date: Timestamp::from_millis(ms), ..alarm() });
        assert!(
            headers(&text).iter().any(|line| line.starts_with("Date: ") && line.contains(year)),
            "{text}"
        );
    }
}

#[test]
fn other_alphabets_are_encoded_words() {
    let text = formatted(&Mail { subject: "Häufung 告警".to_owned(), ..alarm() });
    assert!(text.contains("Subject: =?utf-8?b?"), "{text}");
}

#[test]
fn senders_with_and_without_a_name() {
    let from = |from: &str| headers(&formatted(&Mail { from: from.to_owned(), ..alarm() }))[1].clone();
    assert_eq!(from("bell@example.org"), "From: bell@example.org");
    assert_eq!(from("Night Bell <bell@example.org>"), "From: \"Night Bell\" <bell@example.org>");
    assert_eq!(
        from("\"Bell, Night\" <bell@example.org>"),
        "From: =?utf-8?b?QmVsbCwgTmlnaHQ=?= <bell@example.org>",
        "a comma does not make two senders"
    );
    assert!(from("Glöckchen <bell@example.org>").starts_with("From: =?utf-8?b?"));
    for none in ["", "<>", "Night Bell", "a@b <", "a@b.c, d@e.f", "x <a@köln.example>"] {
        assert_eq!(sender(none), None, "{none:?}");
    }
}
