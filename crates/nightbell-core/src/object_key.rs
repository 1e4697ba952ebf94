/*!
Keys of the objects that a delivery stream writes: prefixes with expressions, and the suffix that makes them unique.

Follows "Custom prefixes for Amazon S3 objects" and "Amazon S3 object name format" (Amazon Data Firehose Developer
Guide). [`ObjectKeys::parse`] reads both prefixes of a stream once; after that a key cannot fail. `clock_pattern` are the
patterns of `!{timestamp:…}`. Knows no bucket. Draws no random number: random strings are made of the object's id.
*/

use jiff::Zoned;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::time::Timestamp;
use clock_pattern::ClockPattern;

mod clock_pattern;
#[cfg(test)]
mod tests;

/// Characters of a prefix as it is written (Amazon Data Firehose API Reference).
pub const PREFIX_CHARS_MAX: usize = 1_024;
/// Characters of a prefix once its expressions are evaluated.
pub const EVALUATED_PREFIX_CHARS_MAX: usize = 512;
/// Characters of `!{firehose:random-string}`.
pub const RANDOM_STRING_CHARS: usize = 11;

/// What is put behind a prefix that says nothing of time.
const TIME_DEFAULT: &str = "yyyy/MM/dd/HH/";

/// Why a prefix is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PrefixError(String);

/// Why records could not be delivered, as `!{firehose:error-output-type}` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOutput {
    /// A function could not transform them.
    Processing,
    /// OpenSearch did not take them.
    OpenSearch,
    /// Splunk did not take them.
    Splunk,
    /// They could not be converted.
    FormatConversion,
    /// An HTTP endpoint did not take them.
    HttpEndpoint,
}

impl ErrorOutput {
    /// `processing-failed` and its like.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing-failed",
            Self::OpenSearch => "AmazonOpenSearchService-failed",
            Self::Splunk => "splunk-failed",
            Self::FormatConversion => "format-conversion-failed",
            Self::HttpEndpoint => "http-endpoint-failed",
        }
    }

    const LONGEST: Self = Self::OpenSearch;
}

/// An object that is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// The delivery stream's name.
    pub stream: &'a str,
    /// Its version: 1, and one more with each change of its configuration.
    pub version: u64,
    /// When the oldest record of the object arrived.
    pub arrived: Timestamp,
    /// A UUID of the object's own.
    pub id: &'a str,
    /// `.gz` and its like, or nothing.
    pub extension: &'a str,
}

/// Both prefixes of a stream, compiled.
#[derive(Clone, Debug)]
pub struct ObjectKeys {
    prefix: Prefix,
    error_prefix: Prefix,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
struct Prefix {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Time(ClockPattern),
    Random,
    ErrorOutput,
}

impl ObjectKeys {
    /// Reads `Prefix`, `ErrorOutputPrefix` and `CustomTimeZone`; without a zone, times are UTC.
    ///
    /// # Errors
    /// The first rule that is broken, with the member's name.
    pub fn parse(
        prefix: Option<&str>,
        error_prefix: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Self, PrefixError> {
        let zone = match zone {
            None | Some("") => TimeZone::UTC,
            Some(name) => TimeZoneDatabase::bundled().get(name).map_err(|_| {
                PrefixError(format!("CustomTimeZone {name:?} is no time zone; name one as \"Asia/Tokyo\""))
            })?,
        };
        let mut data = Prefix::parse("Prefix", prefix.unwrap_or_default())?;
        if data.parts.iter().any(|part| matches!(part, Part::ErrorOutput)) {
            return refused(
                "Prefix can't contain !{firehose:error-output-type}; it belongs into ErrorOutputPrefix",
            );
        }
        let mut failed = match error_prefix.filter(|text| !text.is_empty()) {
            Some(text) => Prefix::parse("ErrorOutputPrefix", text)?,
            None if data.has_expressions() => {
                return refused("ErrorOutputPrefix can't be null when Prefix contains expressions");
            }
            None => Prefix { parts: [data.parts.clone(), after_type()?].concat() },
        };
        if failed.has_expressions() && !failed.parts.iter().any(|part| matches!(part, Part::ErrorOutput)) {
            return refused(
                "ErrorOutputPrefix must include at least one instance of !{firehose:error-output-type} when it \
                 contains expressions",
            );
        }
        if !data.parts.iter().any(|part| matches!(part, Part::Time(_))) {
            data.parts.push(time_default()?);
        }
        data.check_length("Prefix", &zone)?;
        failed.check_length("ErrorOutputPrefix", &zone)?;
        failed.parts.shrink_to_fit();
        Ok(Self { prefix: data, error_prefix: failed, zone })
    }

    /// The key of an object of delivered records.
    pub fn delivered(&self, object: &Object<'_>) -> String {
        self.key(&self.prefix, object, None)
    }

    /// The key of an object of records that could not be delivered.
    pub fn failed(&self, object: &Object<'_>, why: ErrorOutput) -> String {
        self.key(&self.error_prefix, object, Some(why))
    }

    fn key(&self, prefix: &Prefix, object: &Object<'_>, why: Option<ErrorOutput>) -> String {
        let at = zoned(object.arrived, &self.zone);
        let mut key = prefix.evaluate(&at, object.id, why);
        let Object { stream, version, id, extension, .. } = object;
        let time = at.strftime("%Y-%m-%d-%H-%M-%S");
        key.push_str(&format!("{stream}-{version}-{time}-{id}{extension}"));
        key
    }
}

impl Prefix {
    fn parse(member: &str, text: &str) -> Result<Self, PrefixError> {
        if text.chars().count() > PREFIX_CHARS_MAX {
            return refused(format!("{member} must have at most {PREFIX_CHARS_MAX} characters"));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("!{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (expression, after) = after.split_once('}').ok_or_else(|| {
                PrefixError(format!("{member}: \"!{{\" can only start an expression !{{namespace:value}}"))
            })?;
            parts.push(Part::parse(member, expression)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    fn has_expressions(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Text(_)))
    }

    /// Holds whatever the time will be: each expression counts as long as it can become.
    fn check_length(&self, member: &str, zone: &TimeZone) -> Result<(), PrefixError> {
        let longest = |part: &Part| match part {
            Part::Text(text) => text.chars().count(),
            Part::Time(pattern) => pattern.chars_max(zone),
            Part::Random => RANDOM_STRING_CHARS,
            Part::ErrorOutput => ErrorOutput::LONGEST.name().len(),
        };
        let chars: usize = self.parts.iter().map(longest).sum();
        if chars > EVALUATED_PREFIX_CHARS_MAX {
            return refused(format!(
                "{member} can have {chars} characters once it is evaluated; at most {EVALUATED_PREFIX_CHARS_MAX} are \
                 allowed"
            ));
        }
        Ok(())
    }

    fn evaluate(&self, at: &Zoned, id: &str, why: Option<ErrorOutput>) -> String {
        let mut text = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Time(pattern) => pattern.write(at, &mut text),
                Part::Random => text.push_str(&random_string(id, index)),
                Part::ErrorOutput => text.push_str(why.map_or("", ErrorOutput::name)),
            }
        }
        text
    }
}

impl Part {
    fn parse(member: &str, expression: &str) -> Result<Self, PrefixError> {
        match expression.split_once(':') {
            Some(("timestamp", pattern)) => ClockPattern::parse(pattern)
                .map(Self::Time)
                .map_err(|why| PrefixError(format!("{member}: !{{{expression}}} {why}"))),
            Some(("firehose", "random-string")) => Ok(Self::Random),
            Some(("firehose", "error-output-type")) => Ok(Self::ErrorOutput),
            Some(("partitionKeyFromQuery" | "partitionKeyFromLambda", _)) => refused(format!(
                "{member}: !{{{expression}}} needs dynamic partitioning, which this version does not have"
            )),
            _ => refused(format!(
                "{member}: !{{{expression}}} is no expression; known are !{{timestamp:…}}, !{{firehose:random-string}} and \
                 !{{firehose:error-output-type}}"
            )),
        }
    }
}

fn refused<T>(message: impl Into<String>) -> Result<T, PrefixError> {
    Err(PrefixError(message.into()))
}

fn time_default() -> Result<Part, PrefixError> {
    ClockPattern::parse(TIME_DEFAULT).map(Part::Time).map_err(PrefixError)
}

/// What follows the prefix of objects that failed, where no prefix of their own is set.
fn after_type() -> Result<Vec<Part>, PrefixError> {
    Ok(vec![Part::ErrorOutput, Part::Text("/".to_owned()), time_default()?])
}

/// The instant in its zone, held inside the years 1970 to 9999.
fn zoned(at: Timestamp, zone: &TimeZone) -> Zoned {
    const LAST_MS: i64 = 253_402_128_000_000; // 9999-12-30, so that no zone leaves the calendar
    jiff::Timestamp::from_millisecond(at.as_millis().clamp(0, LAST_MS))
        .expect("held inside jiff's range")
        .to_zoned(zone.clone())
}

/// Hexadecimal digits that differ for each object and each use in one prefix.
fn random_string(id: &str, index: usize) -> String {
    let hash = Sha256::digest(format!("{id} {index}"));
    let digits: String =
        hash.iter().take(RANDOM_STRING_CHARS.div_ceil(2)).map(|byte| format!("{byte:02x}")).collect();
    digits[..RANDOM_STRING_CHARS].to_owned()
}
