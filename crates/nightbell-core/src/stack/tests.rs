//! Templates as tables: what is read, what is refused and in which words, what functions come to.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Some things that are made: `Ref` gives `made-NAME`, and each has the attribute `Arn`.
struct Few(&'static [&'static str]);

impl Made for Few {
    fn reference(&self, logical: &str) -> Option<Value> {
        self.0.contains(&logical).then(|| format!("made-{logical}").into())
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<Value> {
        (self.0.contains(&logical) && name == "Arn").then(|| format!("arn-{logical}").into())
    }
}

fn pseudo() -> Pseudo {
    Pseudo {
        region: "site".into(),
        account: "012345678901".into(),
        stack_name: "s".into(),
        stack_id: "arn:s".into(),
    }
}

fn supplied(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the property `P` of the resource `R` comes to.
fn worked_out(text: &str, values: &[(&str, &str)]) -> Result<Option<Value>, TemplateError> {
    let template = Template::parse(text)?;
    let given = template.given(&supplied(values))?;
    let pseudo = pseudo();
    let scope = Scope::new(&template, &given, &pseudo)?;
    let properties = scope.work_out(&template.resources["R"].properties, &Few(&["A", "B"]))?;
    Ok(properties.and_then(|mut all| all.get_mut("P").map(Value::take)))
}

const HEAD: &str = "
Parameters:
  Name: {Type: String, Default: bell}
  Count: {Type: Number, Default: 3}
  List: {Type: CommaDelimitedList, Default: 'x, y,z'}
Mappings:
  Sizes:
    site: {small: 10, names: [a, b]}
Conditions:
  IsBell: !Equals [!Ref Name, bell]
  IsThree: !Equals [!Ref Count, 3]
  Both: !And [!Condition IsBell, !Condition IsThree]
  Neither: !Not [!Or [!Condition IsBell, !Condition IsThree]]
Resources:
  A: {Type: T::A::A}
  B: {Type: T::A::A}
  R:
    Type: T::A::A
    Properties:
      P: ";

#[test]
fn functions_come_to_what_they_say() {
    let rows: &[(&str, Value)] = &[
        ("!Ref Name", json!("bell")),
        ("!Ref Count", json!("3")),
        ("!Ref List", json!(["x", "y", "z"])),
        ("!Ref A", json!("made-A")),
        ("!Ref AWS::Region", json!("site")),
        ("!Ref AWS::AccountId", json!("012345678901")),
        ("{a: !Ref AWS::NoValue, b: 1}", json!({"b": 1})),
        ("[1, !Ref AWS::NoValue]", json!([1])),
        ("!GetAtt A.Arn", json!("arn-A")),
        ("!GetAtt [B, Arn]", json!("arn-B")),
        ("!Sub '${Name}-${A}-${B.Arn}-${AWS::StackName}-${!Name}'", json!("bell-made-A-arn-B-s-${Name}")),
        ("!Sub ['${own} of ${Name} ${', {own: !Ref Count}]", json!("3 of bell ${")),
        ("!Join ['-', [a, !Ref Name, 7]]", json!("a-bell-7")),
        ("!Join ['', !Ref List]", json!("xyz")),
        ("!Select [1, !Ref List]", json!("y")),
        ("!Select ['0', !Split ['/', a/b]]", json!("a")),
        ("!Split ['|', 'a|b|']", json!(["a", "b", ""])),
        ("!FindInMap [Sizes, !Ref AWS::Region, small]", json!(10)),
        ("!FindInMap [Sizes, site, names]", json!(["a", "b"])),
        ("!Base64 ab", json!("YWI=")),
        ("!Base64 abc", json!("YWJj")),
        ("!Base64 a", json!("YQ==")),
        ("!If [IsBell, yes it is, no]", json!("yes it is")),
        ("!If [Both, 1, 2]", json!(1)),
        ("!If [Neither, 1, 2]", json!(2)),
        ("{Fn::Join: [':', [a, {Ref: Name}]]}", json!("a:bell")),
        // Numbers stay what they were written as.
        (
            "[007, 1.5, 1.10, 12, -3, 1e3, .5, 0x1F, true, yes, 'true', 2012-10-17]",
            json!(["007", 1.5, "1.10", 12, -3, "1e3", ".5", "0x1F", true, "yes", "true", "2012-10-17"]),
        ),
    ];
    for (written, expected) in rows {
        let found =
            worked_out(&format!("{HEAD}{written}"), &[]).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(found.as_ref(), Some(expected), "{written}");
    }
    assert_eq!(worked_out(&format!("{HEAD}!If [IsBell, !Ref AWS::NoValue, 2]"), &[]), Ok(None));
    assert_eq!(
        worked_out(&format!("{HEAD}!If [Neither, 1, 2]"), &[("Name", "x"), ("Count", "4")]),
        Ok(Some(json!(1)))
    );
}

#[test]
fn json_is_read_as_yaml_is() {
    let yaml = "Resources: {R: {Type: T, Properties: {P: !Sub 'a-${AWS::Region}', Q: !GetAtt R2.Arn}}, R2: {Type: T}}";
    let json = r#"{"Resources": {"R": {"Type": "T", "Properties": {"P": {"Fn::Sub": "a-${AWS::Region}"},
        "Q": {"Fn::GetAtt": ["R2", "Arn"]}}}, "R2": {"Type": "T"}}}"#;
    assert_eq!(Template::parse(yaml).unwrap(), Template::parse(json).unwrap());
}

/// Each text is refused in words that hold the second of the pair.
fn refused(rows: Vec<(String, &str)>) {
    for (text, expected) in rows {
        let error = worked_out(&text, &[]).expect_err(&text);
        assert!(error.0.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn text_that_is_no_template_is_told() {
    let deep = format!("Resources: {}", "[".repeat(200));
    refused(vec![
        (String::new(), "the template is empty"),
        ("{".into(), "JSON not well-formed. (line 1"),
        ("a: [".into(), "YAML not well-formed. (line"),
        ("- a".into(), "unsupported structure"),
        ("x".into(), "unsupported structure"),
        ("Resources: {}\n---\nResources: {}".into(), "one YAML document"),
        ("A: &a [1]\nB: *a".into(), "YAML aliases are not allowed"),
        ("A: &a {b: 1}\nB: {<<: 1}".into(), "hash merges"),
        ("Resources: {A: {Type: T}, A: {Type: T}}".into(), "the key A stands twice"),
        ("Resources: {? [a] : 1}".into(), "a key must be a text"),
        (deep, "more than 64 deep"),
        ("Resources:".into(), "[/Resources] 'null' values are not allowed"),
        ("Resources: {A: {Type: T, Properties: {B: [~]}}}".into(), "[/Resources/A/Properties/B/0] 'null'"),
        ("Resources: !Foo {}".into(), "the tag !Foo is no function"),
        ("Resources: !!binary aaaa".into(), "is no function"),
        ("Description: x".into(), "At least one Resources member must be defined."),
        ("Foo: 1\nResources: {A: {Type: T}}".into(), "Invalid template property or properties [Foo]"),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: T}}".into(),
            "Transform is not served",
        ),
        ("AWSTemplateFormatVersion: 2010-09-10\nResources: {A: {Type: T}}".into(), "must be \"2010-09-09\""),
    ]);
    let big = format!("Resources: {{A: {{Type: {}}}}}", "x".repeat(TEMPLATE_BYTES_MAX));
    assert!(Template::parse(&big).unwrap_err().0.contains("the limit is 51200"));
    let many: String = (0..=RESOURCES_MAX).map(|n| format!("  A{n}: {{Type: T}}\n")).collect();
    assert!(Template::parse(&format!("Resources:\n{many}")).unwrap_err().0.contains("maximum allowed, 500"));
}

#[test]
fn resources_that_cannot_be_are_told() {
    let resources = |text: &str| format!("Resources: {{{text}}}");
    refused(vec![
        (resources("A: 1"), "[/Resources/A] Every Resources member must be an object."),
        (resources("A-b: {Type: T}"), "Resources name A-b is invalid"),
        (resources("A: {}"), "must contain a Type member"),
        (resources("A: {Type: T, Foo: 1}"), "Invalid template resource property 'Foo' of A"),
        (resources("A: {Type: T, CreationPolicy: {a: 1}}"), "CreationPolicy is not served"),
        (resources("A: {Type: T, DeletionPolicy: Snapshot}"), "no type that is served has snapshots"),
        (resources("A: {Type: T, DeletionPolicy: Keep}"), "Unrecognized DeletionPolicy for resource A"),
        (
            resources("A: {Type: T, DependsOn: B}"),
            "Unresolved resource dependencies [B] in the Resources block",
        ),
        (resources("A: {Type: T, Properties: {P: !Ref B}}"), "Unresolved resource dependencies [B]"),
        (resources("A: {Type: T, Properties: {P: !Sub '${B.Arn}'}}"), "Unresolved resource dependencies [B]"),
        (resources("A: {Type: T, Condition: C}"), "Unresolved condition dependency C in the Resources block"),
        (resources("A: {Type: T, Properties: {P: !If [C, 1, 2]}}"), "Unresolved condition dependency C"),
        (resources("A: {Type: T, Properties: {P: !Ref A}}"), "Circular dependency between resources: [A]"),
        (
            resources(
                "A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {P: !GetAtt C.X}}, C: {Type: T, Properties: {P: !Ref A}}",
            ),
            "Circular dependency between resources: [A, B, C]",
        ),
        (
            resources("A: {Type: T, Properties: {P: !GetAtt A}}"),
            "Fn::GetAtt object requires two non-empty parameters",
        ),
        (
            resources("A: {Type: T, Properties: {P: !ImportValue x}}"),
            "the function Fn::ImportValue is not served",
        ),
        (resources("A: {Type: T, Properties: {P: '{{resolve:ssm:x}}'}}"), "dynamic references"),
    ]);
}

#[test]
fn other_sections_and_functions_that_are_wrong_are_told() {
    let property = |text: &str| format!("{HEAD}{text}");
    refused(vec![
        (
            "Conditions: {C: !Equals [!Ref A, 1]}\nResources: {A: {Type: T}}".into(),
            "Cannot reference resources in the Conditions block",
        ),
        (
            "Conditions: {C: !Not [!Condition D], D: !Not [!Condition C]}\nResources: {A: {Type: T}}".into(),
            "Circular dependency between conditions: [C, D]",
        ),
        (
            "Outputs: {O: {Value: !Ref B}}\nResources: {A: {Type: T}}".into(),
            "Unresolved resource dependencies [B] in the Outputs block",
        ),
        (
            "Outputs: {O: {Value: 1, Export: {Name: x}}}\nResources: {A: {Type: T}}".into(),
            "exports are not served",
        ),
        ("Outputs: {O: {Description: x}}\nResources: {A: {Type: T}}".into(), "must contain a Value"),
        (
            "Parameters: {P: {Type: AWS::EC2::VPC::Id}}\nResources: {A: {Type: T}}".into(),
            "the type AWS::EC2::VPC::Id of the parameter P is not served",
        ),
        (
            "Parameters: {P: {Default: x}}\nResources: {A: {Type: T}}".into(),
            "must contain a Type member; P has none",
        ),
        (
            "Parameters: {P: {Type: String, AllowedPattern: '('}}\nResources: {A: {Type: T}}".into(),
            "cannot be read",
        ),
        (property("!Select [3, !Ref List]"), "cannot select nonexistent value at index 3; the list has 3"),
        (property("!Select [-1, !Ref List]"), "cannot select nonexistent value"),
        (property("!Join [a]"), "every Fn::Join object requires two parameters"),
        (property("!Join ['', [!Ref List]]"), "no list of texts"),
        (property("!Sub '${Na me}'"), "must contain only alphanumeric"),
        (property("!Sub '${List}'"), "is no text"),
        (property("!Sub [a]"), "don't specify expected arguments"),
        (property("!FindInMap [Sizes, x, small]"), "Unable to get mapping for Sizes::x::small"),
        (property("!GetAtt A.Foo"), "resource A does not support attribute type Foo"),
    ]);
}

#[test]
fn what_functions_repeat_has_an_end() {
    let text = format!("{HEAD}[{}]", "!Ref Name, ".repeat(3_000));
    let error = worked_out(&text, &[("Name", &"x".repeat(PARAMETER_BYTES_MAX))]).unwrap_err();
    assert!(error.0.contains("make more than 1048576 bytes"), "{error}");
    let nested =
        format!("{HEAD}{}", "!Base64 {Fn::Base64: ".repeat(25) + &"x".repeat(3_000) + &"}".repeat(25));
    let error = worked_out(&nested, &[]).unwrap_err();
    assert!(error.0.contains("make more than"), "{error}");
}

#[test]
fn parameters_are_what_they_are_declared_to_be() {
    let text = "
Parameters:
  Plain: {Type: String}
  Short: {Type: String, Default: ab, MinLength: 2, MaxLength: 3}
  One: {Type: String, Default: a, AllowedValues: [a, b, 3]}
  Lower: {Type: String, Default: a, AllowedPattern: '[a-z]+', ConstraintDescription: small letters}
  Port: {Type: Number, Default: 1, MinValue: 1, MaxValue: 9.5}
  Ports: {Type: List<Number>, Default: '1, 2'}
  Secret: {Type: String, Default: s, NoEcho: true}
Resources: {A: {Type: T}}
";
    let template = Template::parse(text).unwrap();
    assert!(template.parameters["Secret"].no_echo && !template.parameters["Plain"].no_echo);
    let given = template.given(&supplied(&[("Plain", "")])).unwrap();
    assert_eq!(given["Plain"], Given::Text(String::new()));
    assert_eq!(given["Ports"], Given::Texts(vec!["1".into(), "2".into()]));
    assert_eq!(
        template.given(&supplied(&[("Plain", "x"), ("One", "3")])).unwrap()["One"].value(),
        json!("3")
    );
    let told = |values: &[(&str, &str)]| template.given(&supplied(values)).unwrap_err().0;
    assert_eq!(told(&[]), "Parameters: [Plain] must have values");
    assert_eq!(told(&[("Plain", "x"), ("No", "x")]), "Parameters: [No] do not exist in the template");
    for (name, value, expected) in [
        ("Short", "a", "Parameter 'Short' must contain at least 2 characters"),
        ("Short", "abcd", "Parameter 'Short' must contain at most 3 characters"),
        ("One", "c", "Parameter 'One' must be one of AllowedValues [a, b, 3]"),
        ("Lower", "a1", "Parameter 'Lower' failed to satisfy constraint: small letters"),
        ("Port", "0", "Parameter 'Port' must be a number not less than 1"),
        ("Port", "9.6", "Parameter 'Port' must be a number not greater than 9.5"),
        ("Port", "x", "Parameter 'Port' must be a number"),
        ("Port", "inf", "Parameter 'Port' must be a number"),
        ("Ports", "1,b", "Parameter 'Ports' must be a number"),
        ("Plain", &"x".repeat(4_097), "Parameter 'Plain' has 4097 bytes; the limit is 4096"),
    ] {
        // The later of two values for one name counts.
        assert_eq!(told(&[("Plain", "x"), (name, value)]), expected);
    }
}

#[test]
fn resources_come_after_what_they_need() {
    let text = "
Conditions: {No: !Equals [a, b]}
Resources:
  A: {Type: T, Properties: {P: !Sub '${D.Arn}'}}
  B: {Type: T, DependsOn: [A, C]}
  C: {Type: T, Condition: No}
  D: {Type: T, Properties: {P: !If [No, !Ref C, x]}}
";
    let template = Template::parse(text).unwrap();
    let (given, pseudo) = (BTreeMap::new(), pseudo());
    let scope = Scope::new(&template, &given, &pseudo).unwrap();
    assert_eq!(scope.order(), ["D", "A", "B"]);
    assert!(!scope.wants("C") && !scope.wants("X") && scope.holds(None) && !scope.holds(Some("No")));
}

#[test]
fn properties_are_told_apart_by_name() {
    assert_eq!(
        differing(&json!({"a": 1, "b": 2, "c": 3}), &json!({"b": 2, "c": 4, "d": 5})),
        ["a", "c", "d"]
    );
    assert!(differing(&json!({}), &json!({})).is_empty());
}

proptest! {
    #[test]
    fn every_text_is_read_or_refused(text in "[A-Za-z:{}\\[\\]!&*'\"$\\- \n,|>#?%0-9.~<]{0,200}") {
        if let Err(error) = Template::parse(&text) {
            prop_assert!(!error.0.is_empty());
        }
        let inside = format!("Resources:\n  R:\n    Type: T\n    Properties:\n      P: {text}");
        if let Ok(template) = Template::parse(&inside) {
            let (given, pseudo) = (BTreeMap::new(), pseudo());
            let scope = Scope::new(&template, &given, &pseudo).unwrap();
            let _ = scope.work_out(&template.resources["R"].properties, &Few(&[]));
        }
    }
}
