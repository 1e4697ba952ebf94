/*! What one message gives as fields, in every shape that senders write, and whether both readings agree. */

use proptest::prelude::*;

use super::*;
use crate::sample;

/// Flat names and texts; attributes as `Element_Attribute`, a value without a name under the empty one.
fn flat(document: &Document<'_>) -> Vec<(String, String)> {
    let name = |field: &Field<'_>| match field.attribute {
        "" => field.name.to_owned(),
        attribute => format!("{}_{attribute}", field.name),
    };
    document.fields().iter().map(|field| (name(field), field.text().into_owned())).collect()
}

fn read(message: &str) -> Vec<(String, String)> {
    flat(&Document::read(message).expect("an event"))
}

/// Whether the quick reading takes the whole message.
fn is_quick(message: &str) -> bool {
    let mut fields = Vec::new();
    scan::system(message, &mut fields).is_some_and(|at| scan::after_system(message, at, &mut fields))
}

fn value(message: &str, name: &str) -> Option<String> {
    let document = Document::read(message)?;
    document.find(|field| field.is_named(name)).map(|field| field.text().into_owned())
}

/// System with an event number, and `rest` behind it.
fn event(rest: &str) -> String {
    format!("<Event><System><EventID>4656</EventID></System>{rest}</Event>")
}

#[test]
fn a_security_event_gives_system_then_data() {
    let message =
        sample::security(4625, sample::FAILURE, &[("SubjectUserSid", "S-1-0-0"), ("LogonType", "3")]);
    let expected = [
        ("Provider_Name", "Microsoft-Windows-Security-Auditing"),
        ("Provider_Guid", "{54849625-5478-4994-A5BA-3E3B0328C30D}"),
        ("EventID", "4625"),
        ("Version", "0"),
        ("Level", "0"),
        ("Task", "12544"),
        ("Opcode", "0"),
        ("Keywords", "0x8010000000000000"),
        ("TimeCreated_SystemTime", "2019-05-05T23:12:37.349476100Z"),
        ("EventRecordID", "694674"),
        ("Correlation_ActivityID", "{00000000-1111-2222-3333-444444444444}"),
        ("Execution_ProcessID", "804"),
        ("Execution_ThreadID", "1080"),
        ("Channel", "Security"),
        ("Computer", "FS01.Corp.Example"),
        ("Security", ""),
        ("SubjectUserSid", "S-1-0-0"),
        ("LogonType", "3"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(read(&message), expected);
    assert!(is_quick(&message));
}

#[test]
fn every_ordinary_shape_is_read_quickly() {
    let shapes = [
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>1</EventID></System><EventData><Data Name='A'>x</Data></EventData></Event>",
        "<Event xmlns=''><System><EventID>1</EventID></System><EventData><Data Name='A'>x</Data></EventData></Event>",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name=\"A\">x</Data></EventData></Event>",
        "<Event><System><EventID Qualifiers='0'>1</EventID></System><EventData><Data Name=\"A\">x</Data></EventData></Event>",
        "<?xml version='1.0' encoding='utf-8'?>\r\n<Event>\n <System>\n  <EventID>1</EventID>\n </System>\n <EventData>\n\t<Data Name='A'>x</Data>\n </EventData>\n</Event>\n",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name='B'/><Data Name='A' >x</Data></EventData></Event>",
        "<Event><System><EventID>1</EventID></System><EventData Name='Template'><Data Type='win:Int' Name='A'>x</Data></EventData></Event>",
        "<Event><System><EventID>1</EventID></System><UserData><LogFileCleared xmlns:auto-ns3='a' xmlns='b'><A>x</A></LogFileCleared></UserData></Event>",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name='A'>x</Data></EventData><RenderingInfo Culture='en-US'><Message>m</Message><Keywords><Keyword>Audit Failure</Keyword></Keywords></RenderingInfo></Event>",
    ];
    for shape in shapes {
        assert!(is_quick(shape), "{shape}");
        assert_eq!(value(shape, "EventID").as_deref(), Some("1"), "{shape}");
        assert_eq!(value(shape, "A").as_deref(), Some("x"), "{shape}");
        assert!(!Document::read(shape).expect("an event").is_damaged(), "{shape}");
    }
}

#[test]
fn unusual_shapes_are_read_all_the_same() {
    let shapes = [
        "<!-- c --><Event><System><EventID>1</EventID></System><EventData><Data Name='A'>x</Data></EventData></Event>",
        "<!DOCTYPE Event><Event><System><EventID>1</EventID></System><EventData><Data Name='A'>x</Data></EventData></Event>",
        "<e:Event xmlns:e='u'><e:System><e:EventID>1</e:EventID></e:System><e:EventData><e:Data Name='A'>x</e:Data></e:EventData></e:Event>",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name='A'><![CDATA[x]]></Data></EventData></Event>",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name='A'><!-- c -->x</Data></EventData></Event>",
        "<Event><System><EventID>1</EventID></System><EventData><Data Name = 'A'>x</Data ></EventData></Event>",
        "<Event><EventData><Data Name='A'>x</Data></EventData><System><EventID>1</EventID></System></Event>",
        "\u{feff} <Event><System><EventID>1</EventID></System>text<EventData><Data Name='A'>x</Data></EventData></Event>",
    ];
    for shape in shapes {
        assert!(!is_quick(shape), "{shape}");
        assert_eq!(value(shape, "EventID").as_deref(), Some("1"), "{shape}");
        assert_eq!(value(shape, "A").as_deref(), Some("x"), "{shape}");
        assert!(!Document::read(shape).expect("an event").is_damaged(), "{shape}");
    }
}

#[test]
fn values_are_unescaped() {
    let rows = [
        ("a&lt;b&gt;&amp;&quot;&apos;", "a<b>&\"'"),
        ("&#65;&#x42;&#x1F514;", "AB\u{1f514}"),
        ("&unknown; & &; &#; &#x; &#0; &#x110000; &", "&unknown; & &; &#; &#x; &#0; &#x110000; &"),
        ("&amp;lt;", "&lt;"),
        ("%%1541%%4423", "%%1541%%4423"),
        ("a\n\tb ", "a\n\tb "),
        ("<![CDATA[<b>&lt;]]>&lt;<!-- & -->c<?p ?>", "<b>&lt;<c"),
        ("", ""),
    ];
    for (raw, text) in rows {
        let message = event(&format!("<EventData><Data Name='A'>{raw}</Data></EventData>"));
        assert_eq!(value(&message, "A").as_deref(), Some(text), "{raw}");
    }
}

#[test]
fn values_without_a_name_keep_their_places() {
    let message = event(
        "<EventData><Data>one</Data><Data Name='param1'>x</Data><Data>two</Data><Binary>00FF</Binary></EventData>",
    );
    let names: Vec<_> = read(&message).into_iter().skip(1).collect();
    let expected = [("", "one"), ("param1", "x"), ("", "two"), ("Binary", "00FF")];
    assert_eq!(names, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn of_two_equal_names_the_first_counts() {
    let message = "<Event><System><EventID>104</EventID><Channel>System</Channel></System><UserData><LogFileCleared><Channel>Application</Channel></LogFileCleared></UserData></Event>";
    assert_eq!(value(message, "Channel").as_deref(), Some("System"));
    let document = Document::read(message).expect("an event");
    assert_eq!(document.data("Channel").map(|field| field.raw), Some("Application"));
}

#[test]
fn rejecting_an_event_number_reads_system_only() {
    let message = sample::security(4656, sample::FAILURE, &[("ObjectName", "x")]);
    let document = Document::read(&message).expect("an event");
    assert_eq!(document.system("EventID").map(|field| field.raw), Some("4656"));
    assert!(document.fields.borrow().iter().all(|field| field.section == Section::System));
    assert_eq!(document.data("ObjectName").map(|field| field.raw), Some("x"));
}

#[test]
fn what_is_no_event_has_no_fields() {
    let texts = [
        "",
        " ",
        "<",
        "<Event",
        "<Events><Event/></Events>",
        "Event",
        "{}",
        "<event></event>",
        "</Event>",
        "text <Event/>",
        "<EventX></EventX>",
    ];
    for text in texts {
        assert!(Document::read(text).is_none(), "{text}");
    }
    for empty in ["<Event/>", "<Event></Event>", "<Event><System/></Event>"] {
        assert_eq!(read(empty), [], "{empty}");
    }
}

#[test]
fn n12_a_damaged_tail_leaves_what_stands_before_it() {
    let whole = sample::security(4625, sample::FAILURE, &[("TargetUserName", "ann"), ("LogonType", "3")]);
    let cut = whole.find("LogonType").expect("is in the event");
    let message = format!("{}[Truncated...]", &whole[..cut]);
    let document = Document::read(&message).expect("an event");
    assert!(document.is_damaged());
    assert_eq!(value(&message, "EventID").as_deref(), Some("4625"));
    assert_eq!(value(&message, "TargetUserName").as_deref(), Some("ann"));
    assert_eq!(value(&message, "LogonType"), None);
}

#[test]
fn s06_a_placeholder_replaced_inside_a_value_is_just_another_value() {
    let message = event("<EventData><Data Name='Url'>a10.0.0.5b</Data></EventData>");
    assert_eq!(value(&message, "Url").as_deref(), Some("a10.0.0.5b"));
}

#[test]
fn s07_an_unescaped_value_in_the_message_damages_only_what_follows() {
    let data = "<EventData><Data Name='A'>x</Data></EventData>";
    for inserted in ["a < b", "<script>", "a</Message>b", "<![CDATA[", "<!--", "<a b='", "&", "]]>"] {
        let message = event(&format!("{data}<RenderingInfo><Message>{inserted}</Message></RenderingInfo>"));
        assert_eq!(value(&message, "EventID").as_deref(), Some("4656"), "{inserted}");
        assert_eq!(value(&message, "A").as_deref(), Some("x"), "{inserted}");
    }
}

#[test]
fn limits_hold() {
    let many = event(&format!("<EventData>{}</EventData>", "<Data>x</Data>".repeat(FIELDS_MAX * 3)));
    assert_eq!(read(&many).len(), FIELDS_MAX);
    let slow = Document::read_slowly(&many).expect("an event");
    assert_eq!(slow.fields().len(), FIELDS_MAX);
    let deep = event(&format!("<UserData>{}{}</UserData>", "<a>".repeat(10_000), "</a>".repeat(10_000)));
    assert!(Document::read(&deep).expect("an event").is_damaged());
    let wide = event(&format!("<EventData><Data {}>x</Data></EventData>", "a='1' ".repeat(10_000)));
    assert!(Document::read(&wide).expect("an event").is_damaged());
}

#[test]
fn concatenated_events_are_split() {
    let pieces: Vec<_> = split("<Event>1</Event>\n<Event>2</Event><Event>3").collect();
    assert_eq!(pieces, ["<Event>1</Event>", "<Event>2</Event>", "<Event>3"]);
    assert_eq!(split(" \n ").count(), 0);
    assert_eq!(split("no event").collect::<Vec<_>>(), ["no event"]);
}

/// The two readings agree on `message`: what the quick one takes, the slow one reads just so; and what the quick one
/// found before it gave up, the slow one found too.
fn agree(message: &str) -> Result<(), TestCaseError> {
    let text = message.trim_start_matches('\u{feff}').trim_start();
    let mut quick = Vec::new();
    let Some(at) = scan::system(text, &mut quick) else { return Ok(()) };
    let slow = pull::event(text);
    prop_assert!(slow.is_some(), "only the quick reading knows {text:?}");
    let slow = slow.expect("checked above");
    let system = quick.len();
    let whole = scan::after_system(text, at, &mut quick);
    if whole {
        prop_assert_eq!(&quick, &slow.fields, "{}", text);
        prop_assert!(!slow.damaged, "only the slow reading finds damage in {:?}", text);
    } else {
        prop_assert_eq!(&quick[..system], &slow.fields[..system.min(slow.fields.len())], "{}", text);
    }
    Ok(())
}

/// Pieces of events and of what breaks them.
const PIECES: &[&str] = &[
    "<Event>",
    "<Event xmlns=''>",
    "</Event>",
    "<System>",
    "</System>",
    "<EventID>4625</EventID>",
    "<EventData>",
    "</EventData>",
    "<Data Name='A'>",
    "<Data Name=\"B\">",
    "<Data>",
    "</Data>",
    "<Data Name='C'/>",
    "<Data ",
    "<UserData>",
    "</UserData>",
    "<X xmlns:p='u'>",
    "</X>",
    "<p:X>",
    "</p:X>",
    "<RenderingInfo Culture='en'>",
    "</RenderingInfo>",
    "<Provider Name='P' Guid='{}'/>",
    "<Security/>",
    "<Security UserID='S-1'/>",
    "text",
    " ",
    "\n\t",
    "\u{c}",
    "&amp;",
    "&",
    "<",
    ">",
    "/>",
    "'",
    "\"",
    "=",
    "<!-- c -->",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?pi?>",
    "<?xml version='1.0'?>",
    "ü",
    "\0",
    "Name='A'",
    "Name='a>b'",
    "</Data >",
    "<Execution ProcessID='1' ThreadID='2'/>",
    "<a/b>",
    "<1>",
    "</",
    "a='1'b='2'",
    "<Data\u{c}Name='A'>x</Data>",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// A well-formed event of the kinds of elements that Windows writes.
fn whole_event() -> impl Strategy<Value = String> {
    let value = prop::sample::select(&["", "x", "4625", "a &amp; b", "%%1541\n\t%%4423", "ü>", "-", " "][..]);
    let quote = prop::sample::select(&["'", "\""][..]);
    let element =
        (0_usize..6, value, quote, "[A-Za-z][A-Za-z0-9_]{0,8}").prop_map(|(kind, value, quote, name)| {
            match kind {
                0 => format!("<Data Name={quote}{name}{quote}>{value}</Data>"),
                1 => format!("<Data Name={quote}{name}{quote}/>"),
                2 => format!("<Data>{value}</Data>"),
                3 => format!("<{name} UserID={quote}{value}{quote}/>"),
                4 => format!("<{name} xmlns={quote}u{quote}>\n\t<{name}>{value}</{name}></{name}>"),
                _ => format!("<{name}>{value}</{name}>"),
            }
        });
    let elements = || prop::collection::vec(element.clone(), 0..8).prop_map(|elements| elements.concat());
    (elements(), elements(), elements()).prop_map(|(system, data, rendering)| {
        format!("<Event xmlns=''><System>{system}</System><EventData>{data}</EventData><UserData>{data}</UserData>\n<RenderingInfo Culture='de'>{rendering}</RenderingInfo></Event>")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_readings_agree_on_whole_events(message in whole_event()) {
        prop_assert!(is_quick(&message), "{}", message);
        agree(&message)?;
    }

    #[test]
    fn both_readings_agree_on_pieces_of_events(inside in pieces(), tail in pieces()) {
        agree(&format!("{inside}{tail}"))?;
        agree(&format!("<Event><System>{inside}</System>{tail}</Event>"))?;
        agree(&format!("<Event><System><EventID>1</EventID></System><EventData>{inside}</EventData>{tail}</Event>"))?;
    }

    #[test]
    fn both_readings_agree_on_broken_events(at in any::<prop::sample::Index>(), length in 0_usize..20, piece in prop::sample::select(PIECES)) {
        let mut message = sample::security(4625, sample::FAILURE, &[("TargetUserName", "ann &amp; bob"), ("Status", "0xc000006d"), ("Empty", "")]);
        let start = at.index(message.len());
        let end = (start + length).min(message.len());
        message.replace_range(start..end, piece);
        agree(&message)?;
    }

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let message = format!("<Event><System>{text}");
        for text in [text.as_str(), message.as_str()] {
            if let Some(document) = Document::read(text) {
                flat(&document);
            }
        }
        split(&text).for_each(drop);
    }
}
