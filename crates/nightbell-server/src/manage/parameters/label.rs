/*!
Labels: other names for versions of a parameter ("LabelParameterVersion", "AWS Systems Manager API Reference").
*/

use nightbell_store::Write;

use super::{Parameter, ParameterRefusal, find, key, select};
use crate::catalog::{Records, put as put_record};

/// Labels of one version.
pub(crate) const LABELS_MAX: usize = 10;
/// Characters of a label.
pub(crate) const LABEL_CHARS_MAX: usize = 100;

/// Puts labels on a version, the newest where none is named; one that stands on another version moves. Gives the version's number and the
/// labels that none may have.
pub(crate) fn label(
    records: &Records,
    region: &str,
    name: &str,
    number: Option<u64>,
    labels: Vec<String>,
) -> Result<(u64, Vec<String>), ParameterRefusal> {
    let _turn = records.turn();
    let mut parameter = find(records, region, name)?;
    let number = number_of(records, region, &parameter, number)?;
    let (good, bad): (Vec<String>, Vec<String>) = labels.into_iter().partition(|label| is_label(label));
    parameter.labels.extend(good.into_iter().map(|label| (label, number)));
    if parameter.labels_of(number).len() > LABELS_MAX {
        return Err(ParameterRefusal::Labels);
    }
    write(records, region, &parameter)?;
    Ok((number, bad))
}

/// Takes labels off a version. Gives those that stood on it, and the others.
pub(crate) fn unlabel(
    records: &Records,
    region: &str,
    name: &str,
    number: u64,
    labels: Vec<String>,
) -> Result<(Vec<String>, Vec<String>), ParameterRefusal> {
    let _turn = records.turn();
    let mut parameter = find(records, region, name)?;
    let number = number_of(records, region, &parameter, Some(number))?;
    let (there, absent): (Vec<String>, Vec<String>) =
        labels.into_iter().partition(|label| parameter.labels.get(label) == Some(&number));
    parameter.labels.retain(|label, _| !there.contains(label));
    write(records, region, &parameter)?;
    Ok((there, absent))
}

/// The number of a version that is there.
fn number_of(
    records: &Records,
    region: &str,
    parameter: &Parameter,
    number: Option<u64>,
) -> Result<u64, ParameterRefusal> {
    let selector = number.map(|number| number.to_string());
    select(records, region, &parameter.latest.name, selector.as_deref()).map(|version| version.number)
}

fn is_label(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    (1..=LABEL_CHARS_MAX).contains(&label.chars().count())
        && label.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

fn write(records: &Records, region: &str, parameter: &Parameter) -> Result<(), ParameterRefusal> {
    let mut change = Write::new();
    put_record(&mut change, &key(region, &parameter.latest.name), parameter);
    Ok(records.commit(change)?)
}
