/*! Every recipe with every option gives filters that can be, and errors are told in words. */

use std::collections::BTreeSet;

use super::*;
use crate::filter::MetricFilter;
use crate::insights::Query;
use crate::pattern::Pattern;
use crate::time::Timestamp;

fn build(name: &str, asked: &Options<'_>) -> Result<Built, BuildError> {
    find(name).expect("a recipe").build(asked)
}

/// Each recipe with each choice of what is counted apart, as it is, with every exclusion and with none.
fn all() -> Vec<(&'static Recipe, Built)> {
    let mut all = Vec::new();
    for recipe in RECIPES {
        let names: Vec<_> = recipe.exclusions.iter().map(|exclusion| exclusion.name).collect();
        for by in recipe.by {
            for (exclude, include) in [(&[][..], &[][..]), (&names[..], &[]), (&[], &names[..])] {
                for folder in [None, Some(r"\Finance\Year 2026\"), Some("secret"), Some(r"c:\data\$x")] {
                    let folder = folder.filter(|_| recipe.in_folder);
                    let asked = Options { by: Some(by.name), exclude, include, folder, ..Options::default() };
                    let built = recipe.build(&asked).expect(recipe.name);
                    assert_eq!(
                        built.excluded.len(),
                        if include.is_empty() { built.excluded.len() } else { 0 }
                    );
                    all.push((recipe, built));
                }
            }
        }
    }
    all
}

#[test]
fn there_are_eleven_recipes_with_names_of_their_own() {
    let names: BTreeSet<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
    assert_eq!((RECIPES.len(), names.len()), (11, 11));
    for recipe in RECIPES {
        let unique = |names: Vec<&str>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
        assert!(unique(recipe.by.iter().map(|by| by.name).collect()), "{}", recipe.name);
        assert!(unique(recipe.exclusions.iter().map(|one| one.name).collect()), "{}", recipe.name);
        assert_eq!(find(recipe.name), Ok(recipe));
        assert!(
            recipe.filters.is_empty() == (recipe.question == Question::MissingRecords),
            "{}",
            recipe.name
        );
    }
}

/// The filter as it is set up.
fn as_metric_filter(filter: &BuiltFilter) -> MetricFilter {
    MetricFilter {
        name: filter.name.clone(),
        pattern: filter.pattern.clone(),
        namespace: NAMESPACE.to_owned(),
        metric: filter.metric.clone(),
        value: filter.value.clone(),
        default: None,
        dimensions: filter.dimensions.iter().cloned().collect(),
        unit: None,
        created: Timestamp::default(),
        emit_system_field_dimensions: Vec::new(),
        field_selection_criteria: None,
    }
}

#[test]
fn every_pattern_can_be_parsed_and_takes_its_dimensions() {
    for (recipe, built) in all() {
        let names: BTreeSet<_> = built.filters.iter().map(|filter| &filter.name).collect();
        assert_eq!(names.len(), built.filters.len(), "{names:?}");
        for filter in &built.filters {
            let pattern = Pattern::parse(&filter.pattern).expect(&filter.pattern);
            as_metric_filter(filter).check().expect(&filter.name);
            assert_eq!(pattern.regexes(), 0, "a group may have few filters with regular expressions");
            assert!(!filter.metric.contains(['"', '\\']), "has a meaning in queries: {}", filter.metric);
            assert_eq!(filter.excluded.is_some(), filter.dimensions.is_empty(), "{}", filter.name);
        }
        let counting = built.filters.iter().filter(|filter| filter.excluded.is_none()).count();
        assert_eq!(counting, recipe.filters.len());
        assert_eq!(built.filters.len(), counting * (1 + built.excluded.len()));
    }
}

#[test]
fn a_watch_is_what_its_words_say() {
    let built = build("denied-access", &Options { folder: Some(r"\Secret\"), ..Options::default() });
    let built = built.expect("can be built");
    assert_eq!(built.name, r"denied-access \secret");
    assert_eq!(built.description, r"denied access to files in \secret, by user");
    assert_eq!(
        built.filters[0].pattern,
        r#"{ $.Audit.Outcome = "failure" && ($.Audit.Folder = "*" || $.Audit.Action = "handle") && ($.Audit.Folder = "\\secret" || $.Audit.Folder = "\\secret\\*" || $.Audit.Share = "secret") && ($.Audit.Noise NOT EXISTS || ($.Audit.Noise != "not-a-file" && $.Audit.Noise != "machine-account" && $.Audit.Noise != "system-account")) }"#
    );
    assert_eq!(built.filters[0].dimensions, [("User".to_owned(), "$.Audit.User".to_owned())]);
    assert_eq!(built.excluded, ["not-a-file", "machine-account", "system-account"]);
    assert_eq!(built.filters[2].name, r"denied-access \secret excluded machine-account");
    assert_eq!(
        (built.threshold, built.within_s, built.comparison, built.missing_data),
        (5.0, 60, "GreaterThanOrEqualToThreshold", "notBreaching")
    );
}

#[test]
fn a_machine_is_silent_whatever_its_events_are() {
    let pattern = |by| {
        let built = build("silent-machine", &Options { by: Some(by), ..Options::default() });
        built.expect("can be built").filters[0].pattern.clone()
    };
    assert_eq!(pattern("instance"), r#"{ $.Computer = "*" }"#);
    assert_eq!(pattern("stream"), "[...]");
}

#[test]
fn queries_name_the_metrics_of_their_filters() {
    let rows: [(&str, Options<'_>, &str); 6] = [
        (
            "denied-access",
            Options { folder: Some(r"\secret"), by: Some("folder"), ..Options::default() },
            r#"SELECT SUM("DeniedAccess denied-access /secret") FROM "Nightbell/Watch" GROUP BY Share, Folder"#,
        ),
        (
            "mass-delete",
            Options::default(),
            r#"SELECT COUNT_DISTINCT("FilesDeleted mass-delete") FROM "Nightbell/Watch" GROUP BY User"#,
        ),
        (
            "password-spray",
            Options { name: Some("spray"), ..Options::default() },
            r#"SELECT COUNT_DISTINCT("AccountsFailed spray") FROM "Nightbell/Watch" GROUP BY Source"#,
        ),
        (
            "success-after-failures",
            Options { threshold: Some(7), ..Options::default() },
            r#"SELECT SUM("SuccessesAfter success-after-failures") FROM "Nightbell/Watch" GROUP BY Account AFTER SUM("FailuresBefore success-after-failures") >= 7"#,
        ),
        (
            "silent-machine",
            Options { by: Some("stream"), ..Options::default() },
            r#"SELECT SUM("Events silent-machine") FROM "Nightbell/Watch" GROUP BY Stream"#,
        ),
        (
            "missing-events",
            Options { group: Some("fleet"), ..Options::default() },
            r#"SELECT SUM(MissingEvents) FROM "Nightbell/Records" WHERE LogGroup = 'fleet' GROUP BY Instance, Channel"#,
        ),
    ];
    for (name, asked, expected) in rows {
        assert_eq!(build(name, &asked).expect(name).query, expected, "{name}");
    }
    for (recipe, built) in all() {
        let query = Query::parse(&built.query).expect(&built.query);
        let Some(first) = built.filters.first() else { continue };
        let metrics: Vec<_> = query.after.iter().map(|after| &after.metric).chain([&query.metric]).collect();
        let counting = built.filters.iter().filter(|filter| filter.excluded.is_none());
        assert_eq!(metrics, counting.map(|filter| &filter.metric).collect::<Vec<_>>(), "{}", recipe.name);
        let dimensions: Vec<_> = first.dimensions.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!((query.namespace.as_str(), query.group_by), (NAMESPACE, dimensions), "{}", recipe.name);
    }
    let after = build("success-after-failures", &Options { threshold: Some(7), ..Options::default() });
    assert_eq!(after.expect("can be built").threshold, 1.0, "one success is enough");
}

#[test]
fn exclusions_can_be_added_and_taken_away() {
    let asked = |exclude, include| Options { exclude, include, ..Options::default() };
    let own = build("failed-logons", &asked(&[], &[])).expect("can be built");
    assert_eq!(own.excluded, ["machine-account", "anonymous", "ntlm-validation", "service-tickets"]);
    let other = build("failed-logons", &asked(&["loopback"], &["anonymous", "ntlm-validation"]));
    assert_eq!(other.expect("can be built").excluded, ["machine-account", "service-tickets", "loopback"]);
    let none = build("lockout", &asked(&[], &["machine-account"])).expect("can be built");
    assert_eq!(none.filters[0].pattern, r#"{ $.Audit.Action = "lockout" }"#);
}

#[test]
fn what_cannot_be_is_told_in_words() {
    let long = format!(r"\{}", "x".repeat(300));
    let rows: [(&str, Options<'_>, &str); 14] = [
        (
            "silent-machine",
            Options { exclude: &["loopback"], ..Options::default() },
            "silent-machine has no exclusions",
        ),
        (
            "lockout",
            Options { by: Some("share"), ..Options::default() },
            r#""share" is none of: user, source, instance"#,
        ),
        ("lockout", Options { folder: Some(r"\x"), ..Options::default() }, "lockout watches no folder"),
        (
            "lockout",
            Options { exclude: &["dogs"], ..Options::default() },
            r#""dogs" is none of: machine-account"#,
        ),
        (
            "lockout",
            Options { include: &["dogs"], ..Options::default() },
            r#""dogs" is none of: machine-account"#,
        ),
        (
            "lockout",
            Options { include: &["machine-account"], exclude: &["machine-account"], ..Options::default() },
            "machine-account cannot be both excluded and included",
        ),
        ("lockout", Options { threshold: Some(0), ..Options::default() }, "the threshold is 1 or more"),
        (
            "lockout",
            Options { within_s: Some(90), ..Options::default() },
            "the time is 10s, 20s, 30s or whole minutes up to 24h",
        ),
        (
            "lockout",
            Options { within_s: Some(90_000), ..Options::default() },
            "the time is 10s, 20s, 30s or whole minutes up to 24h",
        ),
        (
            "lockout",
            Options { name: Some("a:b"), ..Options::default() },
            "a watch's name holds no :, no *, no \" and no controls",
        ),
        (
            "lockout",
            Options { name: Some(" "), ..Options::default() },
            "give the watch a name of 1 to 180 characters",
        ),
        (
            "lockout",
            Options { group: Some("it's"), ..Options::default() },
            r#""it's" is no name of a log group"#,
        ),
        (
            "mass-read",
            Options { folder: Some(r"\a*"), ..Options::default() },
            "a folder's name holds no *, no \" and no controls",
        ),
        (
            "mass-read",
            Options { folder: Some(&long), name: Some("x"), ..Options::default() },
            "the pattern would be longer than 1024 characters: name a shorter folder",
        ),
    ];
    for (name, asked, expected) in rows {
        let error = build(name, &asked).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    assert!(matches!(find("dogs"), Err(BuildError::Unknown { .. })));
}
