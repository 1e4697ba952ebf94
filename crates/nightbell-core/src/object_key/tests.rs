use super::*;

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// 2018-08-27T10:30:05Z
const AT: Timestamp = Timestamp::from_seconds(1_535_365_805);

fn object(arrived: Timestamp) -> Object<'static> {
    Object { stream: "fsx", version: 3, arrived, id: ID, extension: ".gz" }
}

/// The evaluated prefixes of delivered and failed objects.
fn evaluated(prefix: Option<&str>, error_prefix: Option<&str>) -> Result<(String, String), String> {
    let keys = ObjectKeys::parse(prefix, error_prefix, None).map_err(|error| error.to_string())?;
    let suffix = format!("fsx-3-2018-08-27-10-30-05-{ID}.gz");
    let cut = |key: String| key.strip_suffix(&suffix).expect("it ends in the suffix").to_owned();
    Ok((cut(keys.delivered(&object(AT))), cut(keys.failed(&object(AT), ErrorOutput::Processing))))
}

#[test]
fn keys_are_made_of_prefixes() {
    let long = "x".repeat(513 - "/!{timestamp:yyyy}/".len() + "!{timestamp:}".len());
    let long = format!("{long}/!{{timestamp:yyyy}}/");
    let rows = [
        ("K01", None, None, Ok(("2018/08/27/10/", "processing-failed/2018/08/27/10/"))),
        ("K02", Some("logs/"), None, Ok(("logs/2018/08/27/10/", "logs/processing-failed/2018/08/27/10/"))),
        (
            "K03",
            Some("myFirehosePrefix"),
            None,
            Ok(("myFirehosePrefix2018/08/27/10/", "myFirehosePrefixprocessing-failed/2018/08/27/10/")),
        ),
        (
            "K04",
            Some("y=!{timestamp:yyyy}/"),
            Some("err/!{firehose:error-output-type}/"),
            Ok(("y=2018/", "err/processing-failed/")),
        ),
        ("K05", Some("!{timestamp:yyyy/MM/dd}"), None, Err("ErrorOutputPrefix can't be null")),
        ("K06", Some("a/!{firehose:error-output-type}/"), None, Err("Prefix can't contain")),
        ("K07", Some("x/"), Some("err/!{timestamp:yyyy}/"), Err("ErrorOutputPrefix must include")),
        (
            "K08",
            Some("!{timestamp:'year='yyyy}/"),
            Some("e/!{firehose:error-output-type}/"),
            Ok(("year=2018/", "e/processing-failed/")),
        ),
        (
            "K09",
            Some(long.as_str()),
            Some("!{firehose:error-output-type}/"),
            Err("Prefix can have 513 characters"),
        ),
        ("K10", Some("a!{b"), None, Err("Prefix: \"!{\" can only start an expression")),
        ("empty", Some(""), Some(""), Ok(("2018/08/27/10/", "processing-failed/2018/08/27/10/"))),
        ("plain error prefix", Some("x/"), Some("lost/"), Ok(("x/2018/08/27/10/", "lost/"))),
        ("unknown", Some("!{s3:bucket}"), None, Err("Prefix: !{s3:bucket} is no expression")),
        ("no value", Some("!{timestamp}"), None, Err("Prefix: !{timestamp} is no expression")),
        (
            "partitions",
            Some("!{partitionKeyFromQuery:k}"),
            None,
            Err("Prefix: !{partitionKeyFromQuery:k} needs dynamic"),
        ),
        ("inner", Some("!{timestamp:!{x}}"), None, Err("Prefix: !{timestamp:!{x}")),
    ];
    for (id, prefix, error_prefix, expected) in rows {
        match (evaluated(prefix, error_prefix), expected) {
            (Ok((data, failed)), Ok(expected)) => {
                assert_eq!((data.as_str(), failed.as_str()), expected, "{id}")
            }
            (Err(error), Err(expected)) => assert!(error.starts_with(expected), "{id}: {error}"),
            (found, _) => panic!("{id}: {found:?}"),
        }
    }
    assert!(evaluated(Some(&long[1..]), Some("!{firehose:error-output-type}/")).is_ok());
    assert!(evaluated(Some(&"x".repeat(PREFIX_CHARS_MAX + 1)), None).unwrap_err().contains("at most 1024"));
}

#[test]
fn random_strings_differ_by_use_and_by_object() {
    let keys = ObjectKeys::parse(
        Some("!{firehose:random-string}/!{firehose:random-string}/!{timestamp:yyyy}/"),
        Some("!{firehose:error-output-type}/"),
        None,
    )
    .unwrap();
    let key = keys.delivered(&object(AT));
    let parts: Vec<&str> = key.split('/').collect();
    assert!(parts[..2].iter().all(|part| part.len() == RANDOM_STRING_CHARS));
    assert_ne!(parts[0], parts[1]);
    assert_eq!(key, keys.delivered(&object(AT)));
    assert_ne!(key[..11], keys.delivered(&Object { id: "another", ..object(AT) })[..11]);
}

#[test]
fn writes_times_as_java_does() {
    let rows = [
        ("yyyy-MM-dd'T'HH:mm:ss", "2018-08-27T10:30:05"),
        ("yy|y|yyyyy|uuuu", "18|2018|02018|2018"),
        ("M|MM|MMM|MMMM|MMMMM|LL", "8|08|Aug|August|A|08"),
        ("d|dd|D|DDD", "27|27|239|239"),
        ("E|EEE|EEEE|EEEEE", "Mon|Mon|Monday|M"),
        ("H|h|hh|K|kk|a", "10|10|10|10|10|AM"),
        ("Q|QQ|S|SSS", "3|03|0|000"),
        ("Z|X|XXX|x|xxx|VV", "+0000|Z|Z|+00|+00:00|UTC"),
        ("''|'o''clock'|'a'", "'|o'clock|a"),
        ("ü=/", "ü=/"),
    ];
    for (pattern, expected) in rows {
        let mut text = String::new();
        let compiled = ClockPattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        compiled.write(&zoned(AT, &TimeZone::UTC), &mut text);
        assert_eq!(text, expected, "{pattern}");
        assert!(text.chars().count() <= compiled.chars_max(&TimeZone::UTC), "{pattern}");
    }
    for (pattern, why) in [
        ("", "has no pattern"),
        ("yyyy'", "single quote that is not closed"),
        ("MMMMMM", "6 times"),
        ("yyyyB", "'B'"),
        ("[yyyy]", "reserved"),
        ("V", "1 times"),
    ] {
        let error = ClockPattern::parse(pattern).unwrap_err();
        assert!(error.contains(why), "{pattern}: {error}");
    }
}

#[test]
fn keeps_the_zone_and_the_year_of_the_week() {
    let rows = [
        // 2018-12-30T23:30Z is a Sunday, and already Monday in Tokyo.
        (1_546_212_600, None, "YYYY-MM-dd EEE HH Z", "2019-12-30 Sun 23 +0000"),
        (
            1_546_212_600,
            Some("Asia/Tokyo"),
            "yyyy-MM-dd EEE HH xxx VV",
            "2018-12-31 Mon 08 +09:00 Asia/Tokyo",
        ),
        // 2018-12-29 is the Saturday before.
        (1_546_041_600, None, "YYYY", "2018"),
        (1_546_041_600, Some("America/St_Johns"), "H X", "20 -0330"),
    ];
    for (seconds, zone, pattern, expected) in rows {
        let prefix = format!("!{{timestamp:{pattern}}}|");
        let keys = ObjectKeys::parse(Some(&prefix), Some("!{firehose:error-output-type}"), zone).unwrap();
        let key = keys.delivered(&object(Timestamp::from_seconds(seconds)));
        assert_eq!(key.split('|').next(), Some(expected), "{pattern} in {zone:?}");
    }
    assert!(
        ObjectKeys::parse(None, None, Some("Mars/Olympus_Mons"))
            .unwrap_err()
            .to_string()
            .contains("CustomTimeZone")
    );
    for at in [i64::MIN, i64::MAX] {
        assert!(
            !ObjectKeys::parse(None, None, Some("Asia/Tokyo"))
                .unwrap()
                .delivered(&object(Timestamp::from_millis(at)))
                .is_empty()
        );
    }
}
