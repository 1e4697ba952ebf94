/*!
Charts as they are read: what is said, what is drawn, and what hostile numbers do.
*/

use proptest::prelude::*;

use super::*;

/// 2021-06-01T18:08:05.000 UTC.
const AT: i64 = 1_622_570_885;

/// Half an hour of a sliding minute: calm, then six within 37 seconds.
pub(crate) fn burst() -> Chart {
    let value = |second: i64| match second {
        ..1_763 => f64::from(u8::from(second % 700 < 60)),
        1_763..1_770 => 1.0,
        1_770..1_776 => 2.0,
        1_776..1_784 => 3.0,
        1_784..1_793 => 4.0,
        1_793..1_799 => 5.0,
        _ => 6.0,
    };
    Chart {
        title: "Denied accesses".to_owned(),
        unit: "in 1 min".to_owned(),
        points: (0..=1_800).step_by(3).map(|n| (Timestamp::from_seconds(AT - 1_763 + n), value(n))).collect(),
        threshold: Some(5.0),
        band: None,
        breach: Breach::Over,
        fired_at: Some(Timestamp::from_seconds(AT + 37)),
        marks: Vec::new(),
        period_s: 60,
        accent: (0xff, 0x7b, 0x72),
    }
}

/// An hour in bars, with what is usual.
pub(crate) fn unusual() -> Chart {
    let points: Vec<(Timestamp, f64)> = (0..24)
        .map(|n| {
            let value = if n == 23 { 41.0 } else { f64::from(n % 4) };
            (Timestamp::from_seconds(AT + 300 * i64::from(n)), value)
        })
        .collect();
    Chart {
        band: Some(points.iter().map(|_| (0.0, 6.0)).collect()),
        points,
        threshold: None,
        breach: Breach::Over,
        fired_at: Some(Timestamp::from_seconds(AT + 300 * 23)),
        period_s: 300,
        ..burst()
    }
}

#[test]
fn words_stand_in_for_the_picture() {
    assert_eq!(
        alt(&burst()),
        "Denied accesses: 6 at 18:08:42, line at 5; highest 6, lowest 0 since 17:38:42 UTC"
    );
    assert_eq!(
        alt(&unusual()),
        "Denied accesses: 41 at 20:03:05, band 0 to 6; highest 41, lowest 0 since 18:03:05 UTC"
    );
    assert_eq!(alt(&Chart { points: Vec::new(), ..burst() }), "Denied accesses: no data");
    assert_eq!(sparkline(&unusual(), 24), "▁▂▂▂▁▂▂▂▁▂▂▂▁▂▂▂▁▂▂▂▁▂▂█");
    assert_eq!(sparkline(&burst(), 10).chars().count(), 10);
    assert!(sparkline(&burst(), 10).ends_with('█'));
    assert_eq!(sparkline(&Chart { points: Vec::new(), ..burst() }, 10), "");
}

#[test]
fn the_drawing_shows_line_moment_and_breach() {
    let drawing = svg(&burst());
    for part in
        ["Denied accesses", "in 1 min", "line 5", "6 at 18:08:42", "18:00", "UTC", "#FF7B72", "#5D7A9E"]
    {
        assert!(drawing.contains(part), "{part:?} is not in\n{drawing}");
    }
    let calm = svg(&Chart { fired_at: None, threshold: Some(50.0), ..burst() });
    assert!(!calm.contains("#FF7B72"), "nothing breaches");
    assert!(svg(&Chart { points: Vec::new(), ..burst() }).contains("no data"));
}

#[test]
fn marks_are_named_side_by_side() {
    let mark = |second: i64, name: &str, colour| Mark {
        at: Timestamp::from_seconds(AT + second),
        name: name.to_owned(),
        colour,
    };
    let marks = vec![mark(37, "now 18:08:42", (4, 5, 6)), mark(30, "start 18:08:35", (1, 2, 3))];
    let chart = Chart { fired_at: None, marks, ..burst() };
    let drawing = svg(&chart);
    let place = |name: &str| {
        let words = drawing.split("<text ").find(|words| words.contains(name)).unwrap();
        let x = words.split("x=\"").nth(1).unwrap().split('"').next().unwrap();
        x.parse::<i32>().unwrap()
    };
    let (start, now) = (place("start 18:08:35"), place("now 18:08:42"));
    assert!(start + pen::width_px("start 18:08:35") <= now, "{start} {now}");
    assert!(now + pen::width_px("now 18:08:42") <= WIDTH_PX as i32);
    assert!(drawing.contains("#010203") && drawing.contains("#040506"));
    assert!(alt(&chart).ends_with(" UTC; now 18:08:42; start 18:08:35"), "{}", alt(&chart));
}

#[test]
fn a_breach_is_what_the_comparison_says() {
    let breaching = |breach, threshold: Option<f64>, value: f64| {
        let points = vec![(Timestamp::from_seconds(AT), value)];
        let band = Some(vec![(1.0, 4.0)]);
        slots(&Chart { points, band, breach, threshold, ..burst() })[0].breaching
    };
    let rows = [
        (Breach::Over, Some(5.0), 5.0, false),
        (Breach::Over, Some(5.0), 6.0, true),
        (Breach::AtLeast, Some(5.0), 5.0, true),
        (Breach::Under, Some(1.0), 1.0, false),
        (Breach::Under, Some(1.0), 0.0, true),
        (Breach::AtMost, Some(1.0), 1.0, true),
        (Breach::Over, None, 5.0, true),
        (Breach::Over, None, 4.0, false),
        (Breach::Under, None, 5.0, false),
        (Breach::Outside, None, 0.0, true),
        (Breach::Outside, None, 4.0, false),
    ];
    for (breach, threshold, value, expected) in rows {
        assert_eq!(breaching(breach, threshold, value), expected, "{breach:?} {threshold:?} {value}");
    }
}

#[test]
fn pictures_are_small_sharp_and_the_same_each_time() {
    for chart in [burst(), unusual()] {
        let picture = png(&chart, 2.0).unwrap();
        assert_eq!(picture, png(&chart, 2.0).unwrap());
        assert!(picture.starts_with(b"\x89PNG"));
        assert!(picture.len() < 40_000, "{}", picture.len());
        let width = u32::from_be_bytes(picture[16..20].try_into().unwrap());
        assert_eq!(width, 2 * WIDTH_PX);
    }
}

#[test]
fn the_letters_are_there() {
    // Without a font, a picture with words is the picture without them.
    let named = png(&burst(), 1.0).unwrap();
    let other = png(&Chart { title: "Something else".to_owned(), ..burst() }, 1.0).unwrap();
    assert_ne!(named, other);
    let bytes: usize = [
        include_bytes!("fonts/inter-latin-400.ttf").len(),
        include_bytes!("fonts/inter-latin-600.ttf").len(),
    ]
    .iter()
    .sum();
    assert!(bytes < 60_000, "{bytes}");
}

proptest! {
    /// Whatever the numbers and words, a picture comes out, and soon.
    #[test]
    fn anything_becomes_a_picture(
        title in any::<String>(),
        points in proptest::collection::vec((any::<i64>(), any::<f64>()), 0..40),
        threshold in proptest::option::of(any::<f64>()),
        fired_at in proptest::option::of(any::<i64>()),
        period_s in any::<i64>(),
        marks in proptest::collection::vec((any::<i64>(), any::<String>()), 0..6),
        names in proptest::collection::vec((any::<String>(), any::<f64>(), any::<i64>()), 0..12),
        bands in proptest::option::of(proptest::collection::vec((any::<f64>(), any::<f64>()), 0..40)),
    ) {
        let chart = Chart {
            title,
            unit: "\u{1}\u{ffff}<&".to_owned(),
            points: points.into_iter().map(|(ms, value)| (Timestamp::from_millis(ms), value)).collect(),
            threshold,
            band: bands,
            breach: Breach::Outside,
            fired_at: fired_at.map(Timestamp::from_millis),
            marks: marks
                .into_iter()
                .map(|(ms, name)| Mark { at: Timestamp::from_millis(ms), name, colour: (9, 9, 9) })
                .collect(),
            period_s,
            accent: (1, 2, 3),
        };
        prop_assert!(!alt(&chart).is_empty());
        prop_assert!(sparkline(&chart, 30).chars().count() <= 30);
        png(&chart, 1.0).expect("anything can be drawn");
        let bars = Drawing::Bars(Bars {
            title: chart.title.clone(),
            unit: chart.unit.clone(),
            rows: names.iter().map(|(name, value, _)| Bar { name: name.clone(), value: *value }).collect(),
            threshold,
            accent: (1, 2, 3),
        });
        let lane = |(name, _, ms): &(String, f64, i64)| Lane {
            name: name.clone(),
            state: "OK",
            since: Timestamp::from_millis(*ms),
            colour: (1, 2, 3),
        };
        let lanes = Drawing::Lanes(Lanes {
            title: chart.title,
            unit: chart.unit,
            rows: names.iter().map(lane).collect(),
            at: Timestamp::from_millis(fired_at.unwrap_or(0)),
        });
        for drawing in [bars, lanes] {
            prop_assert!(!drawing.alt().is_empty());
            drawing.png(1.0).expect("anything can be drawn");
        }
    }
}
