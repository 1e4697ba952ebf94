/*!
Recipes: what a watch of one line stands for, as filters and the query of one alarm.

The recipes are a table ([`RECIPES`]); [`Recipe::build`] fills one in with what was asked for. What comes out is plain text
in AWS's words, so whoever sets a watch up makes ordinary resources of it. Knows no server, no topic and no command line.

An exclusion is a named condition with its opposite: the opposite goes into the filters, and the condition itself becomes a
filter of its own that counts what was left out.
*/

use thiserror::Error;

use crate::filter::{FILTER_NAME_CHARS_MAX, METRIC_NAME_CHARS_MAX};
use crate::pattern::PATTERN_CHARS_MAX;

pub use table::RECIPES;

mod table;
#[cfg(test)]
mod tests;

/// Namespace of the metrics that watches count into.
pub const NAMESPACE: &str = "Nightbell/Watch";
/// Longest time that a watch counts over.
pub const WITHIN_S_MAX: u64 = 86_400;
/// Longest name of a watch: filters and metrics have longer ones made of it.
pub const NAME_CHARS_MAX: usize = 180;

/// A kind of watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its name on the command line, and the name of a watch that is given none.
    pub name: &'static str,
    /// What it sees, in a few words that follow "watching".
    pub summary: &'static str,
    /// The log group, where none is named.
    pub group: &'static str,
    /// What is looked for; empty where the program itself makes the metric.
    pub filters: &'static [RecipeFilter],
    /// What the alarm asks of the metrics.
    pub question: Question,
    /// The alarm's comparison, in AWS's words.
    pub comparison: &'static str,
    /// What missing data means, in AWS's words.
    pub missing_data: &'static str,
    /// The number asked for by `--threshold`, where none is named.
    pub threshold: u32,
    /// The seconds counted over, where none are named.
    pub within_s: u64,
    /// What may be counted apart; the first is meant where none is named.
    pub by: &'static [By],
    /// What may be left out.
    pub exclusions: &'static [Exclusion],
    /// Whether it may be held to one folder.
    pub in_folder: bool,
}

/// One metric filter of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipeFilter {
    /// What follows the watch's name in the filter's; empty for the only or first one.
    pub suffix: &'static str,
    /// The metric's name, before the watch's.
    pub metric: &'static str,
    /// The condition, without braces; empty for every event that can be counted.
    pub condition: &'static str,
    /// What a match adds: `1`, or `DISTINCT(…)`.
    pub value: &'static str,
}

/// What an alarm asks of a recipe's metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `SUM` of the first filter's metric.
    Sum,
    /// `COUNT_DISTINCT` of the first filter's metric.
    CountDistinct,
    /// `SUM` of the second filter's metric after as many of the first one's as the threshold says; the alarm fires at one.
    SumAfter,
    /// `SUM` of the metric that the program makes of gaps in record numbers, by `Instance` and `Channel`.
    MissingRecords,
}

/// What is counted apart: each value has its own count, state and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Its name on the command line.
    pub name: &'static str,
    /// Dimensions: name and selector. Events without one of them are not counted.
    pub dimensions: &'static [(&'static str, &'static str)],
}

/// Something that a watch leaves out, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub summary: &'static str,
    /// What it removes.
    pub removes: Removes,
    /// Whether it is left out unless included.
    pub on: bool,
}

/// The condition of an exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removes {
    /// Events whose `$.Audit.Noise` is the exclusion's name.
    Noise,
    /// Events of which `is` holds. `is_not` holds of all others that the filter matches; patterns have no "not".
    Where {
        /// The condition.
        is: &'static str,
        /// Its opposite.
        is_not: &'static str,
    },
}

/// What was asked for; what is `None` or empty is the recipe's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// The watch's name.
    pub name: Option<&'a str>,
    /// The log group.
    pub group: Option<&'a str>,
    /// `\folder` or `\share\folder`, with everything below it.
    pub folder: Option<&'a str>,
    /// The name of a [`By`].
    pub by: Option<&'a str>,
    /// Fire at this many; 1 or more.
    pub threshold: Option<u32>,
    /// Seconds counted over: 10, 20, 30, or a multiple of 60 up to [`WITHIN_S_MAX`].
    pub within_s: Option<u64>,
    /// Names of exclusions to leave out as well.
    pub exclude: &'a [&'a str],
    /// Names of exclusions to count after all.
    pub include: &'a [&'a str],
}

/// A watch, ready to be set up.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// Name of the alarm and beginning of the filters' names.
    pub name: String,
    /// What it sees, in words.
    pub description: String,
    /// The log group.
    pub group: String,
    /// The metric filters, first those that count, then those that count what is left out.
    pub filters: Vec<BuiltFilter>,
    /// The alarm's Metrics Insights query.
    pub query: String,
    /// The alarm's threshold.
    pub threshold: f64,
    /// The alarm's comparison.
    pub comparison: &'static str,
    /// The alarm's period, in seconds; one period decides.
    pub within_s: u64,
    /// What missing data means.
    pub missing_data: &'static str,
    /// The exclusions in force, by name.
    pub excluded: Vec<&'static str>,
}

/// One metric filter of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltFilter {
    /// Its name.
    pub name: String,
    /// Its pattern.
    pub pattern: String,
    /// Its metric, in [`NAMESPACE`].
    pub metric: String,
    /// Its metric value.
    pub value: String,
    /// Its dimensions: name and selector.
    pub dimensions: Vec<(String, String)>,
    /// The exclusion whose events it counts; `None` where it counts what the watch is for.
    pub excluded: Option<&'static str>,
}

/// What cannot be built, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// No such name among those of the recipe.
    #[error("{asked:?} is none of: {known}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// Another option cannot be had.
    #[error("{0}")]
    Option(String),
}

/// The recipe of this name.
///
/// # Errors
/// [`BuildError::Unknown`] with the names there are.
pub fn find(name: &str) -> Result<&'static Recipe, BuildError> {
    named(name, RECIPES, |recipe| recipe.name)
}

impl Recipe {
    /// The watch that `asked` means.
    ///
    /// # Errors
    /// The first option that cannot be had.
    pub fn build(&self, asked: &Options<'_>) -> Result<Built, BuildError> {
        let by = match asked.by {
            Some(name) => named(name, self.by, |by| by.name)?,
            None => &self.by[0],
        };
        let folder = self.folder(asked.folder)?;
        let name = self.watch_name(asked.name, folder.as_deref())?;
        let group = group(asked.group.unwrap_or(self.group))?;
        let asked_threshold = threshold(asked.threshold.unwrap_or(self.threshold))?;
        let within_s = within(asked.within_s.unwrap_or(self.within_s))?;
        let exclusions = self.in_force(asked)?;
        let filters = self.built_filters(&name, folder.as_deref(), by, &exclusions)?;
        let threshold = if self.question == Question::SumAfter { 1 } else { asked_threshold };
        let place = folder.map(|folder| format!(" in {folder}")).unwrap_or_default();
        Ok(Built {
            query: self.query(&name, &group, by, asked_threshold),
            description: format!("{}{place}, by {}", self.summary, by.name),
            name,
            group,
            filters,
            threshold: f64::from(threshold),
            comparison: self.comparison,
            within_s,
            missing_data: self.missing_data,
            excluded: exclusions.iter().map(|exclusion| exclusion.name).collect(),
        })
    }

    /// `\folder` in lower case, without a backslash at its end; `None` for all folders.
    fn folder(&self, asked: Option<&str>) -> Result<Option<String>, BuildError> {
        let Some(asked) = asked else { return Ok(None) };
        if !self.in_folder {
            return Err(BuildError::Option(format!("{} watches no folder", self.name)));
        }
        if asked.contains(|c: char| c.is_control() || matches!(c, '*' | '"')) {
            return Err(BuildError::Option("a folder's name holds no *, no \" and no controls".to_owned()));
        }
        let folder = asked.trim().trim_matches('\\').to_lowercase();
        Ok((!folder.is_empty()).then(|| format!("\\{folder}")))
    }

    fn watch_name(&self, asked: Option<&str>, folder: Option<&str>) -> Result<String, BuildError> {
        let own = || match folder {
            Some(folder) => format!("{} {}", self.name, folder.replace(':', "")),
            None => self.name.to_owned(),
        };
        let name = asked.map_or_else(own, |name| name.trim().to_owned());
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(BuildError::Option(format!(
                "give the watch a name of 1 to {NAME_CHARS_MAX} characters"
            )));
        }
        if name.contains(|c: char| c.is_control() || matches!(c, ':' | '*' | '"')) {
            return Err(BuildError::Option(
                "a watch's name holds no :, no *, no \" and no controls".to_owned(),
            ));
        }
        Ok(name)
    }

    /// The exclusions in force, in the recipe's order.
    fn in_force(&self, asked: &Options<'_>) -> Result<Vec<&'static Exclusion>, BuildError> {
        for name in asked.exclude.iter().chain(asked.include) {
            if self.exclusions.is_empty() {
                return Err(BuildError::Option(format!("{} has no exclusions", self.name)));
            }
            named(name, self.exclusions, |exclusion| exclusion.name)?;
        }
        if let Some(both) = asked.exclude.iter().find(|name| asked.include.contains(name)) {
            return Err(BuildError::Option(format!("{both} cannot be both excluded and included")));
        }
        let holds = |exclusion: &&Exclusion| {
            (exclusion.on || asked.exclude.contains(&exclusion.name))
                && !asked.include.contains(&exclusion.name)
        };
        Ok(self.exclusions.iter().filter(holds).collect())
    }

    fn built_filters(
        &self,
        name: &str,
        folder: Option<&str>,
        by: &By,
        exclusions: &[&'static Exclusion],
    ) -> Result<Vec<BuiltFilter>, BuildError> {
        let inside = folder.map(inside);
        // What is counted apart must be there; where nothing else is asked, that is the condition.
        let there = by.dimensions.iter().find(|(_, from)| from.starts_with("$."));
        let there = there.map(|(_, from)| format!("{from} = \"*\"")).unwrap_or_default();
        let mut filters = Vec::new();
        for filter in self.filters {
            let condition = if filter.condition.is_empty() { &there } else { filter.condition };
            let base: Vec<&str> = [condition, inside.as_deref().unwrap_or_default()]
                .into_iter()
                .filter(|condition| !condition.is_empty())
                .collect();
            let left = opposites(exclusions);
            filters.push(BuiltFilter {
                name: joined(name, filter.suffix),
                pattern: pattern(base.iter().copied().chain(left.iter().map(String::as_str)))?,
                metric: metric(filter.metric, name),
                value: filter.value.to_owned(),
                dimensions: by
                    .dimensions
                    .iter()
                    .map(|(name, from)| (name.to_string(), from.to_string()))
                    .collect(),
                excluded: None,
            });
            for exclusion in exclusions {
                let removed = exclusion.condition();
                filters.push(BuiltFilter {
                    name: joined(&joined(name, filter.suffix), &format!("excluded {}", exclusion.name)),
                    pattern: pattern(base.iter().copied().chain([removed.as_str()]))?,
                    metric: joined(&metric(filter.metric, name), &format!("excluded {}", exclusion.name)),
                    value: "1".to_owned(),
                    dimensions: Vec::new(),
                    excluded: Some(exclusion.name),
                });
            }
        }
        // Those that count stand first.
        filters.sort_by_key(|filter| filter.excluded.is_some());
        Ok(filters)
    }

    fn query(&self, name: &str, group: &str, by: &By, threshold: u32) -> String {
        let names: Vec<_> = by.dimensions.iter().map(|(name, _)| *name).collect();
        let grouped = format!("GROUP BY {}", names.join(", "));
        let quoted = |at: usize| format!("\"{}\"", metric(self.filters[at].metric, name));
        match self.question {
            Question::Sum => format!("SELECT SUM({}) FROM \"{NAMESPACE}\" {grouped}", quoted(0)),
            Question::CountDistinct => {
                format!("SELECT COUNT_DISTINCT({}) FROM \"{NAMESPACE}\" {grouped}", quoted(0))
            }
            Question::SumAfter => format!(
                "SELECT SUM({}) FROM \"{NAMESPACE}\" {grouped} AFTER SUM({}) >= {threshold}",
                quoted(1),
                quoted(0)
            ),
            Question::MissingRecords => format!(
                "SELECT SUM({}) FROM \"{}\" WHERE LogGroup = '{group}' {grouped}",
                crate::records::MISSING_METRIC,
                crate::records::NAMESPACE
            ),
        }
    }
}

impl Exclusion {
    /// What it removes, as a condition.
    pub fn condition(&self) -> String {
        match self.removes {
            Removes::Noise => format!("$.Audit.Noise = \"{}\"", self.name),
            Removes::Where { is, .. } => is.to_owned(),
        }
    }
}

/// The opposites of the exclusions; those of noise as one.
fn opposites(exclusions: &[&Exclusion]) -> Vec<String> {
    let mut opposites = Vec::new();
    let mut noise = Vec::new();
    for exclusion in exclusions {
        match exclusion.removes {
            Removes::Noise => noise.push(format!("$.Audit.Noise != \"{}\"", exclusion.name)),
            Removes::Where { is_not, .. } => opposites.push(is_not.to_owned()),
        }
    }
    if !noise.is_empty() {
        opposites.push(format!("($.Audit.Noise NOT EXISTS || ({}))", noise.join(" && ")));
    }
    opposites
}

fn pattern<'a>(conditions: impl Iterator<Item = &'a str>) -> Result<String, BuildError> {
    let conditions: Vec<_> = conditions.collect();
    // Dimensions need a pattern with fields or columns; this one matches every text.
    let pattern =
        if conditions.is_empty() { "[...]".to_owned() } else { format!("{{ {} }}", conditions.join(" && ")) };
    if pattern.chars().count() > PATTERN_CHARS_MAX {
        return Err(BuildError::Option(format!(
            "the pattern would be longer than {PATTERN_CHARS_MAX} characters: name a shorter folder"
        )));
    }
    Ok(pattern)
}

/// The condition "in this folder or below it"; the folder may begin with its share.
fn inside(folder: &str) -> String {
    let below = |folder: &str| {
        let text = folder.replace('\\', "\\\\");
        format!(r#"$.Audit.Folder = "{text}" || $.Audit.Folder = "{text}\\*""#)
    };
    let in_any_share = below(folder);
    match folder[1..].split_once('\\') {
        Some((share, rest)) => {
            format!(r#"({in_any_share} || ($.Audit.Share = "{share}" && ({})))"#, below(&format!("\\{rest}")))
        }
        None => format!(r#"({in_any_share} || $.Audit.Share = "{}")"#, &folder[1..]),
    }
}

/// The metric of a watch: no character that names of metrics may not hold, or that means something in a query.
fn metric(metric: &str, name: &str) -> String {
    let name: String = name.chars().map(|c| if c == '\\' { '/' } else { c }).filter(|c| *c != '$').collect();
    format!("{metric} {name}")
}

fn joined(name: &str, suffix: &str) -> String {
    if suffix.is_empty() { name.to_owned() } else { format!("{name} {suffix}") }
}

fn named<T>(
    asked: &str,
    known: &'static [T],
    name: fn(&T) -> &'static str,
) -> Result<&'static T, BuildError> {
    let names = || known.iter().map(name).collect::<Vec<_>>().join(", ");
    known
        .iter()
        .find(|one| name(one) == asked)
        .ok_or_else(|| BuildError::Unknown { asked: asked.to_owned(), known: names() })
}

/// Characters that names of log groups may have; none of them ends a text in a query.
fn group(asked: &str) -> Result<String, BuildError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    if asked.is_empty() || !asked.chars().all(allowed) {
        return Err(BuildError::Option(format!("{asked:?} is no name of a log group")));
    }
    Ok(asked.to_owned())
}

fn threshold(asked: u32) -> Result<u32, BuildError> {
    if asked == 0 { Err(BuildError::Option("the threshold is 1 or more".to_owned())) } else { Ok(asked) }
}

fn within(asked: u64) -> Result<u64, BuildError> {
    if matches!(asked, 10 | 20 | 30) || (asked >= 60 && asked.is_multiple_of(60) && asked <= WITHIN_S_MAX) {
        return Ok(asked);
    }
    Err(BuildError::Option("the time is 10s, 20s, 30s or whole minutes up to 24h".to_owned()))
}

const _: () =
    assert!(NAME_CHARS_MAX + 75 <= METRIC_NAME_CHARS_MAX && METRIC_NAME_CHARS_MAX <= FILTER_NAME_CHARS_MAX);
