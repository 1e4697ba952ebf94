/*!
Digests: what they share is named, and the picture says what the list says.
*/

use nightbell_core::budget::{Digest, DigestLine, MessageKind, Tallied};

use super::*;

/// `n` folders that fired with these values, and nothing else.
fn folders(values: &[f64]) -> Digest {
    let line = |(n, value): (usize, &f64)| DigestLine {
        kind: MessageKind::First,
        alarm: "failed-opens".to_owned(),
        attributes: vec![("Folder".to_owned(), format!(r"\share\{n}"))],
        value: *value,
        threshold: Some(5.0),
        incident: format!("{n:016x}"),
        at: FIRST,
    };
    Digest {
        number: 1,
        at: FIRST.plus_millis(900),
        since: FIRST,
        lines: values.iter().enumerate().map(line).collect(),
        more: 0,
        more_differ: false,
        tallied: Tallied { firsts: values.len() as u64, updates: 0, ends: 0 },
    }
}

/// 187 folders, as a storm makes them.
pub(super) fn storm() -> Digest {
    folders(&(0..187).map(|n| f64::from(6 + (n * 7) % 23)).collect::<Vec<_>>())
}

fn with(digest: Digest, change: impl FnOnce(&mut Digest)) -> Digest {
    let mut digest = digest;
    change(&mut digest);
    digest
}

fn subject(digest: &Digest) -> String {
    written(&delivery(Content::Digest(Box::new(digest.clone())))).subject
}

#[test]
fn the_subject_names_what_is_shared_and_the_worst() {
    let four = || folders(&[6.0, 9.0, 7.0, 8.0]);
    let rows = [
        (
            four(),
            r"[ALARM] 4 folders over the line in failed-opens: \share\1 (9), \share\3 (8), \share\2 (7) …",
        ),
        (folders(&[6.0]), r"[ALARM] 1 folder over the line in failed-opens: \share\0 (6)"),
        (
            folders(&[5.0, 6.0]),
            r"[ALARM] 2 folders at or over the line in failed-opens: \share\1 (6), \share\0 (5)",
        ),
        (
            folders(&[1.0, 0.0]),
            r"[ALARM] 2 folders under the line in failed-opens: \share\1 (0), \share\0 (1)",
        ),
        (folders(&[1.0, 9.0]), r"[ALARM] 2 folders in ALARM in failed-opens: \share\1 (9), \share\0 (1)"),
        (
            with(folders(&[7.0, 9.0]), |digest| digest.lines[0].alarm = "other".to_owned()),
            r"[ALARM] 2 folders over the line in 2 alarms: \share\1 (9), \share\0 (7)",
        ),
        (
            with(folders(&[7.0, 9.0]), |digest| digest.lines[0].attributes[0].0 = "Account".to_owned()),
            r"[ALARM] 2 contributors over the line in failed-opens: \share\1 (9), \share\0 (7)",
        ),
        (
            with(folders(&[7.0]), |digest| {
                (digest.more, digest.more_differ) = (3, true);
                digest.tallied.firsts = 4;
            }),
            r"[ALARM] 4 contributors over the line: \share\0 (7) …",
        ),
        (
            with(folders(&[7.0]), |digest| {
                digest.more = 3;
                digest.tallied.firsts = 4;
            }),
            r"[ALARM] 4 folders over the line in failed-opens: \share\0 (7) …",
        ),
        (
            with(folders(&[40.0, 7.0]), |digest| {
                digest.lines[0].kind = MessageKind::Update;
                digest.tallied = Tallied { firsts: 1, updates: 1, ends: 0 };
            }),
            r"[ALARM] 1 folder over the line in failed-opens, 1 goes on: \share\1 (7)",
        ),
        (
            with(folders(&[40.0, 7.0]), |digest| {
                digest.lines.iter_mut().for_each(|line| line.kind = MessageKind::End);
                digest.tallied = Tallied { firsts: 0, updates: 0, ends: 2 };
            }),
            r"[OK] 2 incidents are over in failed-opens: \share\0 (40), \share\1 (7)",
        ),
        (
            with(folders(&[7.0]), |digest| digest.lines[0].attributes.clear()),
            "[ALARM] 1 incident started in failed-opens",
        ),
    ];
    for (digest, expected) in rows {
        assert_eq!(subject(&digest), expected);
    }
    let long = with(storm(), |digest| {
        digest.lines.iter_mut().for_each(|line| line.attributes[0].1 = "x".repeat(256));
    });
    assert!(subject(&long).chars().count() <= SUBJECT_CHARS_MAX);
}

#[test]
fn the_picture_says_what_the_list_says() {
    let mail = written(&delivery(Content::Digest(Box::new(folders(&[6.0, 9.0, 7.0])))));
    let alt = r"What fired: \share\1 9, \share\2 7, \share\0 6; line at 5";
    assert!(mail.text.contains(&format!("\n\n{alt}\n")), "{}", mail.text);
    for part in [
        "Counted by    Folder\n",
        "Line          5\n",
        "    nightbell incidents list --open --alarm failed-opens\n",
        r"started: failed-opens, Folder=\share\1 (9), incident 0000000000000001",
    ] {
        assert!(mail.text.contains(part), "{part} is not in {}", mail.text);
    }
    let [picture] = mail.inline.as_slice() else { panic!("one picture") };
    assert!(picture.content.starts_with(b"\x89PNG"));
    assert!(mail.html.unwrap().contains(&format!("src=\"cid:{}\"", picture.content_id)));

    let over = with(folders(&[40.0, 7.0]), |digest| {
        digest.lines.iter_mut().for_each(|line| line.kind = MessageKind::Update);
        digest.tallied = Tallied { firsts: 0, updates: 2, ends: 0 };
    });
    let text = written(&delivery(Content::Digest(Box::new(over)))).text;
    assert!(text.contains("Counted so far: \\share\\0 40, \\share\\1 7\n"), "no line: {text}");
    let several = with(folders(&[6.0, 9.0]), |digest| {
        digest.lines[1].alarm = "logons".to_owned();
        digest.lines[1].threshold = Some(8.0);
    });
    let text = written(&delivery(Content::Digest(Box::new(several)))).text;
    assert!(text.contains("What fired: logons: \\share\\1 9, failed-opens: \\share\\0 6\n"), "{text}");
}
