/*!
Where a stream's records go: the configuration of its destination as a client gave it, read into a [`Plan`].

The configuration is kept and shown as it was given; what is not served in it is refused here, by name.
*/

use nightbell_core::object_key::{ErrorOutput, ObjectKeys};
use nightbell_deliver::web::check_url;
use serde_json::{Map, Value, json};

use super::processing::Processing;

pub(crate) use splunk::Splunk;

mod splunk;

/// Seconds that records wait for others, unless said otherwise ("BufferingHints").
const INTERVAL_S_DEFAULT: u64 = 300;
/// Mebibytes that are gathered, unless said otherwise.
const SIZE_MIB_DEFAULT: u64 = 5;
/// Seconds that a failed delivery is tried again, unless said otherwise ("HttpEndpointRetryOptions").
const RETRY_S_DEFAULT: u64 = 300;
/// Seconds that it may be.
const RETRY_S_MAX: u64 = 7_200;
/// Bytes of an endpoint's address.
const URL_BYTES_MAX: usize = 1_000;
/// Bytes of an endpoint's access key.
const ACCESS_KEY_BYTES_MAX: usize = 4_096;
/// Attributes of a request to an endpoint.
const ATTRIBUTES_MAX: usize = 50;

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Kind {
    /// Objects in a bucket.
    S3,
    /// Requests to an HTTP endpoint.
    Http,
    /// Requests to Splunk's HTTP Event Collector.
    Splunk,
}

/// Where records go, and when.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Bytes that are gathered.
    pub(crate) buffer_bytes: u64,
    /// How long records wait for others, in milliseconds.
    pub(crate) buffer_ms: i64,
    /// What is done to records on their way.
    pub(crate) processing: Processing,
    /// Where to.
    pub(crate) way: Way,
}

/// Where records go.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Into a bucket.
    S3(Objects),
    /// To an endpoint.
    Http(Http, Backup),
    /// To Splunk.
    Splunk(Splunk, Backup),
}

/// What becomes of records that an endpoint does not take, or of all.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    /// Where they are kept.
    pub(crate) objects: Objects,
    /// The part of the key that says whose failure it was.
    pub(crate) failure: ErrorOutput,
    /// Whether all records are kept in the bucket, not only those that failed.
    pub(crate) keeps_all: bool,
    /// How long a failed request is tried again, in milliseconds.
    pub(crate) retry_ms: i64,
}

/// How objects are written.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    /// The bucket.
    pub(crate) bucket: String,
    /// The role in which a stream writes into a bucket of our own.
    pub(crate) role: String,
    /// Makes their keys.
    pub(crate) keys: ObjectKeys,
    /// Whether they are compressed.
    pub(crate) gzip: bool,
    /// What their keys end with.
    pub(crate) extension: String,
}

/// How an endpoint is asked.
#[derive(Clone)]
pub(crate) struct Http {
    /// `http://…` or `https://…`.
    pub(crate) url: String,
    /// What tells the endpoint who asks; a secret.
    pub(crate) access_key: Option<String>,
    /// `{"commonAttributes":{…}}`, where there are some.
    pub(crate) attributes: Option<String>,
    /// Whether bodies are compressed.
    pub(crate) gzip: bool,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("url", &self.url).finish_non_exhaustive()
    }
}

type Given = Map<String, Value>;

impl Plan {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it, with the member's name.
    pub(crate) fn read(kind: Kind, given: &Given, secret: Option<&str>) -> Result<Self, String> {
        refuse_what_is_not_served(given)?;
        let (size_max, interval, interval_max) = match kind {
            Kind::S3 => (128, INTERVAL_S_DEFAULT, 900),
            Kind::Http => (64, INTERVAL_S_DEFAULT, 900),
            Kind::Splunk => (5, splunk::INTERVAL_S_DEFAULT, 60),
        };
        let hints = given.get("BufferingHints");
        let size = bounded(hints, "BufferingHints", "SizeInMBs", SIZE_MIB_DEFAULT, (1, size_max))?;
        let interval = bounded(hints, "BufferingHints", "IntervalInSeconds", interval, (0, interval_max))?;
        let way = match kind {
            Kind::S3 => Way::S3(Objects::read(given)?),
            Kind::Http => Way::Http(Http::read(given, secret)?, Backup::read(given, &OF_HTTP)?),
            Kind::Splunk => Way::Splunk(Splunk::read(given)?, Backup::read(given, &splunk::BACKUP)?),
        };
        let processing = Processing::read(given.get("ProcessingConfiguration"))?;
        // What is unpacked on its way is gathered as it will be, about: payloads of events shrink to a tenth or less.
        let size = if processing.is_nothing() { size << 20 } else { (size << 20) / 8 };
        Ok(Self { buffer_bytes: size, buffer_ms: interval as i64 * 1_000, processing, way })
    }
}

impl Plan {
    /// The bucket that it leads to, or in which failures are kept.
    pub(crate) fn bucket(&self) -> &str {
        match &self.way {
            Way::S3(objects) => &objects.bucket,
            Way::Http(_, backup) | Way::Splunk(_, backup) => &backup.objects.bucket,
        }
    }
}

impl Objects {
    fn read(given: &Given) -> Result<Self, String> {
        let arn = text(given, "BucketARN")?.ok_or("BucketARN is missing")?;
        let bucket = arn.strip_prefix("arn:aws:s3:::").filter(|name| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            (3..=63).contains(&name.len()) && name.chars().all(plain)
        });
        let bucket =
            bucket.ok_or_else(|| format!("BucketARN {arn:?} is not arn:aws:s3:::BUCKET"))?.to_owned();
        let role = text(given, "RoleARN")?.ok_or("RoleARN is missing")?.to_owned();
        let (prefix, failed) = (text(given, "Prefix")?, text(given, "ErrorOutputPrefix")?);
        let keys = ObjectKeys::parse(prefix, failed, text(given, "CustomTimeZone")?)
            .map_err(|error| error.to_string())?;
        for (member, prefix) in [("Prefix", prefix), ("ErrorOutputPrefix", failed)] {
            let step = |step: &str| !matches!(step, "" | "." | "..");
            let given = prefix.unwrap_or_default().trim_end_matches('/');
            if !given.is_empty() && !given.split('/').all(step) {
                return Err(format!(
                    "{member} {given:?} has an empty part between slashes, which this version cannot write"
                ));
            }
        }
        let gzip = match text(given, "CompressionFormat")?.unwrap_or("UNCOMPRESSED") {
            "UNCOMPRESSED" => false,
            "GZIP" => true,
            other @ ("ZIP" | "Snappy" | "HADOOP_SNAPPY") => {
                return Err(format!(
                    "CompressionFormat {other} is not served by this version; use GZIP or UNCOMPRESSED"
                ));
            }
            other => return Err(format!("CompressionFormat {other:?} is none")),
        };
        let extension = match text(given, "FileExtension")? {
            None | Some("") => {
                if gzip {
                    ".gz"
                } else {
                    ""
                }
            }
            Some(given) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
                let sound = given.starts_with('.') && given.len() <= 128 && given[1..].chars().all(plain);
                if sound {
                    given
                } else {
                    return Err(format!("FileExtension {given:?} is none such as .json"));
                }
            }
        };
        Ok(Self { bucket, role, keys, gzip, extension: extension.to_owned() })
    }
}

impl Http {
    fn read(given: &Given, secret: Option<&str>) -> Result<Self, String> {
        let endpoint = object(given, "EndpointConfiguration")?.ok_or("EndpointConfiguration is missing")?;
        let url = text(endpoint, "Url")?.ok_or("EndpointConfiguration.Url is missing")?;
        check_endpoint("EndpointConfiguration.Url", url)?;
        if secret.is_some_and(|key| {
            key.len() > ACCESS_KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        }) {
            return Err(format!(
                "EndpointConfiguration.AccessKey is not at most {ACCESS_KEY_BYTES_MAX} printable letters"
            ));
        }
        let request = object(given, "RequestConfiguration")?;
        let gzip = match request.map(|request| text(request, "ContentEncoding")).transpose()?.flatten() {
            None | Some("NONE") => false,
            Some("GZIP") => true,
            Some(other) => {
                return Err(format!(
                    "RequestConfiguration.ContentEncoding {other:?} is neither NONE nor GZIP"
                ));
            }
        };
        Ok(Self {
            url: url.to_owned(),
            access_key: secret.filter(|key| !key.is_empty()).map(str::to_owned),
            attributes: attributes(request)?,
            gzip,
        })
    }
}

/// How a kind of endpoint has its failures kept.
struct BackupRules {
    failure: ErrorOutput,
    /// `S3BackupMode` of failed records only, and of all.
    modes: [&'static str; 2],
    /// Seconds that a failed delivery is tried again, unless said otherwise.
    retry_s: u64,
}

const OF_HTTP: BackupRules = BackupRules {
    failure: ErrorOutput::HttpEndpoint,
    modes: ["FailedDataOnly", "AllData"],
    retry_s: RETRY_S_DEFAULT,
};

impl Backup {
    fn read(given: &Given, rules: &BackupRules) -> Result<Self, String> {
        let objects = object(given, "S3Configuration")?.ok_or("S3Configuration is missing")?;
        let retry = given.get("RetryOptions");
        let retry = bounded(retry, "RetryOptions", "DurationInSeconds", rules.retry_s, (0, RETRY_S_MAX))?;
        let [failed, all] = rules.modes;
        let keeps_all = match text(given, "S3BackupMode")?.unwrap_or(failed) {
            mode if mode == failed => false,
            mode if mode == all => true,
            other => return Err(format!("S3BackupMode {other:?} is neither {failed} nor {all}")),
        };
        Ok(Self {
            objects: Objects::read(objects)?,
            failure: rules.failure,
            keeps_all,
            retry_ms: retry as i64 * 1_000,
        })
    }
}

/// Refuses what is no address of an endpoint that may be asked.
fn check_endpoint(member: &str, url: &str) -> Result<(), String> {
    let protocol = if url.starts_with("https:") { "https" } else { "http" };
    if url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{member} is no http or https address of at most {URL_BYTES_MAX} letters"));
    }
    check_url(url, protocol).map_err(|error| format!("{member}: {error}"))
}

fn attributes(request: Option<&Given>) -> Result<Option<String>, String> {
    let Some(Value::Array(given)) = request.and_then(|request| request.get("CommonAttributes")) else {
        return Ok(None);
    };
    if given.len() > ATTRIBUTES_MAX {
        return Err(format!("RequestConfiguration.CommonAttributes are more than {ATTRIBUTES_MAX}"));
    }
    let mut attributes = Map::new();
    for one in given {
        let (Some(name), Some(value)) = (one["AttributeName"].as_str(), one["AttributeValue"].as_str())
        else {
            return Err(
                "RequestConfiguration.CommonAttributes have AttributeName and AttributeValue each".to_owned()
            );
        };
        let long = name.is_empty() || name.len() > 256 || value.len() > 1_024;
        if long || !format!("{name}{value}").chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(format!(
                "RequestConfiguration.CommonAttributes: {name:?} is too long or not printable ASCII"
            ));
        }
        attributes.insert(name.to_owned(), value.into());
    }
    Ok((!attributes.is_empty()).then(|| json!({ "commonAttributes": attributes }).to_string()))
}

/// Members that ask for what is not served.
fn refuse_what_is_not_served(given: &Given) -> Result<(), String> {
    for member in [
        "DataFormatConversionConfiguration",
        "DynamicPartitioningConfiguration",
        "SecretsManagerConfiguration",
    ] {
        if given.get(member).and_then(|asked| asked.get("Enabled")).and_then(Value::as_bool) == Some(true) {
            return Err(format!("{member} is not served by this version; leave it out or disabled"));
        }
    }
    if text(given, "S3BackupMode")? == Some("Enabled") {
        return Err(
            "S3BackupMode Enabled is not served by this version; records are not changed on their way"
                .to_owned(),
        );
    }
    if given.get("EncryptionConfiguration").is_some_and(|asked| asked.get("KMSEncryptionConfig").is_some()) {
        return Err("EncryptionConfiguration.KMSEncryptionConfig is not served by this version".to_owned());
    }
    Ok(())
}

fn text<'a>(given: &'a Given, member: &str) -> Result<Option<&'a str>, String> {
    match given.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{member} is no text")),
    }
}

fn object<'a>(given: &'a Given, member: &str) -> Result<Option<&'a Given>, String> {
    match given.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("{member} is no structure")),
    }
}

/// A number inside a structure, or its default.
fn bounded(
    given: Option<&Value>,
    name: &str,
    member: &str,
    default: u64,
    bounds: (u64, u64),
) -> Result<u64, String> {
    let (least, most) = bounds;
    match given.and_then(|given| given.get(member)) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("{name}.{member} {value} is not between {least} and {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: Value) -> Given {
        match value {
            Value::Object(given) => given,
            other => panic!("{other}"),
        }
    }

    fn s3(more: Value) -> Given {
        let mut all = given(json!({"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::logs"}));
        all.extend(given(more));
        all
    }

    fn http(more: Value) -> Given {
        let mut all = given(
            json!({"EndpointConfiguration": {"Url": "https://x.example.org/in"}, "S3Configuration": s3(json!({}))}),
        );
        all.extend(given(more));
        all
    }

    #[test]
    fn defaults_are_those_of_the_service() {
        let plan = Plan::read(Kind::S3, &s3(json!({})), None).unwrap();
        assert_eq!((plan.buffer_bytes, plan.buffer_ms), (5 << 20, 300_000));
        let Way::S3(objects) = plan.way else { panic!() };
        assert_eq!((objects.bucket.as_str(), objects.gzip, objects.extension.as_str()), ("logs", false, ""));
        let gzip = Plan::read(Kind::S3, &s3(json!({"CompressionFormat": "GZIP"})), None).unwrap();
        assert!(matches!(gzip.way, Way::S3(Objects { gzip: true, ref extension, .. }) if extension == ".gz"));
        let plan = Plan::read(Kind::Http, &http(json!({})), Some("hush")).unwrap();
        assert!(!format!("{plan:?}").contains("hush"));
        let Way::Http(way, backup) = plan.way else { panic!() };
        assert_eq!((backup.retry_ms, backup.keeps_all, way.gzip), (300_000, false, false));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (kind, given, named) in [
            (Kind::S3, s3(json!({"BucketARN": "logs"})), "BucketARN"),
            (Kind::S3, s3(json!({"Prefix": "!{timestamp:yyyy}/"})), "ErrorOutputPrefix"),
            (Kind::S3, s3(json!({"Prefix": "a//b"})), "Prefix"),
            (Kind::S3, s3(json!({"BufferingHints": {"SizeInMBs": 129}})), "BufferingHints.SizeInMBs"),
            (
                Kind::S3,
                s3(json!({"BufferingHints": {"IntervalInSeconds": -1}})),
                "BufferingHints.IntervalInSeconds",
            ),
            (Kind::S3, s3(json!({"CompressionFormat": "Snappy"})), "CompressionFormat"),
            (Kind::S3, s3(json!({"FileExtension": "json"})), "FileExtension"),
            (
                Kind::S3,
                s3(json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "Lambda"}]}})),
                "ProcessingConfiguration",
            ),
            (
                Kind::Http,
                http(json!({"EndpointConfiguration": {"Url": "ftp://x"}})),
                "EndpointConfiguration.Url",
            ),
            (
                Kind::Http,
                http(json!({"EndpointConfiguration": {"Url": "http://169.254.169.254/"}})),
                "EndpointConfiguration.Url",
            ),
            (Kind::Http, http(json!({"S3Configuration": null})), "S3Configuration"),
            (Kind::Http, http(json!({"RetryOptions": {"DurationInSeconds": 7201}})), "RetryOptions"),
            (Kind::Http, http(json!({"S3BackupMode": "Some"})), "S3BackupMode"),
        ] {
            let error = Plan::read(kind, &given, None).expect_err(named);
            assert!(error.starts_with(named), "{error}");
        }
    }
}
