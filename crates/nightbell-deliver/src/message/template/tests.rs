use super::*;

fn refusal(text: &str) -> String {
    Template::check(text).unwrap_err().to_string()
}

fn rendered(text: &str) -> String {
    Template::parse(text).unwrap().render(&telling()).unwrap()
}

#[test]
fn good_templates_are_taken() {
    let rows = [
        "<h1>{{ headline }}</h1>",
        "{{ body }}",
        "<style>{{ style }}</style>{% for t in tables %}{{ t.title|upper }}{% for r in t.rows %}{{ r.count }}{% endfor %}{% endfor %}",
        "{%- if picture and picture.cid -%}<img src=\"cid:{{ picture.cid }}\" alt=\"{{ picture.alt }}\">{%- endif +%}",
        "{# a comment #}{% if state == \"ALARM\" %}!{% elif about %}?{% else %}.{% endif %}",
        "{{ facts|length }} {% if facts|length > 0 %}{{ facts[0].label }}{% endif %}",
        "{{ \"a + b * c ~ d\" }}",
    ];
    for text in rows {
        assert_eq!(Template::check(text), Ok(()), "{text}");
    }
}

#[test]
fn bad_templates_are_refused_with_line_and_reason() {
    let rows = [
        ("", "the template is empty"),
        ("a\n{{ headlines }}", "line 2: undefined value"),
        ("{{ picture.alt }}", "line 1: undefined value"),
        ("{% if a %}", "line 1: syntax error"),
        ("a\n\n{% include \"x\" %}", "line 3: the statement \"include\" is not offered to templates"),
        ("{% set a = 1 %}", "line 1: the statement \"set\" is not offered to templates"),
        ("{%- macro a() -%}{% endmacro %}", "line 1: the statement \"macro\" is not offered to templates"),
        ("{% extends \"x\" %}", "line 1: the statement \"extends\" is not offered to templates"),
        ("{% autoescape false %}{% endautoescape %}", "line 1: the statement \"autoescape\""),
        ("{{ headline ~ headline }}", "line 1: the operator ~ is not offered to templates"),
        ("{{ headline * 1000000 }}", "line 1: the operator * is not offered to templates"),
        ("{% if (headline + headline) %}{% endif %}", "line 1: the operator + is not offered"),
        ("{{ '\\'' ~ headline }}", "line 1: the operator ~ is not offered to templates"),
        ("{{ headline|safe }}", "line 1: unknown filter"),
        ("{{ range(10) }}", "line 1: "),
    ];
    for (text, reason) in rows {
        let said = refusal(text);
        assert!(said.starts_with(reason), "{text}: {said}");
    }
    assert!(refusal(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).contains("more than 32768 bytes"));
}

#[test]
fn work_and_output_are_bounded() {
    let nested = |depth: usize, inner: &str| {
        let open = "{% for a in tables[0].rows %}".repeat(depth);
        format!("{open}{inner}{}", "{% endfor %}".repeat(depth))
    };
    assert!(refusal(&nested(20, "")).contains("steps"), "{}", refusal(&nested(20, "")));
    let long = "y".repeat(20_000);
    assert!(refusal(&nested(3, &long)).contains("writes more than 100000 bytes"));
    assert!(!refusal(&"{% if a %}".repeat(2_000)).is_empty());
    assert!(!refusal(&format!("{{{{ {}1 }}}}", "(".repeat(10_000))).is_empty());
}

#[test]
fn values_are_escaped_and_the_built_in_body_is_not() {
    let mut alarm = telling();
    alarm.headline = "<script>alert(1)</script>{{ 7 }}".to_owned();
    let html = Template::parse("{{ headline }}|{{ body }}").unwrap().render(&alarm).unwrap();
    assert!(html.starts_with("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7 }}|<div"), "{html}");
    assert!(!html.contains("<script"));
    assert!(rendered("{{ style }}").contains("prefers-color-scheme: dark"));
}

/// Every name that a template can use is documented, and no other.
#[test]
fn the_names_are_those_of_the_book() {
    let book = include_str!("../../../../../docs/book/reference/message-templates.md");
    let told: std::collections::BTreeSet<String> = book
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    let value = serde_json::to_value(telling()).unwrap();
    let there: std::collections::BTreeSet<String> =
        value.as_object().unwrap().keys().cloned().chain(["body".to_owned(), "style".to_owned()]).collect();
    assert_eq!(told, there);
    for limit in
        [TEMPLATE_BYTES_MAX, TEMPLATE_DEPTH_MAX, TEMPLATE_OUTPUT_BYTES_MAX, TEMPLATE_FUEL_MAX as usize]
    {
        let digits = limit.to_string();
        let grouped = match digits.len() {
            4.. => format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..]),
            _ => digits,
        };
        assert!(book.contains(&grouped), "{grouped}");
    }
}
