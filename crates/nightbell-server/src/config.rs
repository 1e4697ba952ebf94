/*!
What the operator wrote ([`Settings`]) and what the server runs on ([`Config`]).

A setting is a flag of `nightbell serve`, an environment variable `NIGHTBELL_…` or a key of `nightbell.toml`, in this
order of precedence. Only this file sees the raw form.
*/

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, FromArgMatches};
use nightbell_core::alarm::contributors::CONTRIBUTORS_MAX;
use nightbell_core::cidr::Cidr;
use nightbell_deliver::smtp::SmtpConfig;
use serde::Deserialize;

use crate::auth::is_region;
use crate::bounded::read_text;
use crate::manage::identities;
use crate::size::Size;
use crate::streams::delivery::Server;

pub(crate) use archive::{ArchivePlace, open_archive};
pub(crate) use functions::FunctionConfig;

mod archive;
mod functions;

/// Where the server listens when nothing is said: loopback only.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8600";

/// The least length of the access key of the receiver.
const RECEIVER_KEY_BYTES_MIN: usize = 16;

/// A text that is shown nowhere.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The least limit of the disk, in bytes; below some gigabytes one makes little sense.
const DISK_BYTES_MAX_MIN: u64 = 16 << 20;

/// What the operator wrote, no more. The doc comment of a field is its documentation in `--help` and in the book.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder that holds everything: events, alarms, keys, mailbox (default: the user's data folder)
    #[arg(long, env = "NIGHTBELL_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Address and port to listen on, for every service (default: 127.0.0.1:8600)
    #[arg(long, env = "NIGHTBELL_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Archive of events: a folder, or s3://BUCKET/PREFIX (default: DATA/archive)
    #[arg(long, env = "NIGHTBELL_ARCHIVE", value_name = "PLACE")]
    pub(crate) archive: Option<String>,

    /// How long events wait in the journal before they are archived, 1s to 7d (default: 1h)
    #[arg(long, env = "NIGHTBELL_ARCHIVE_AFTER", value_name = "TIME")]
    pub(crate) archive_after: Option<String>,

    /// Server of the archive's bucket, http://… or https://… (default: Amazon S3 in the region)
    #[arg(long, env = "NIGHTBELL_ARCHIVE_ENDPOINT", value_name = "URL")]
    pub(crate) archive_endpoint: Option<String>,

    /// Region of the archive's bucket (default: the region)
    #[arg(long, env = "NIGHTBELL_ARCHIVE_REGION", value_name = "NAME")]
    pub(crate) archive_region: Option<String>,

    /// File with access key id and secret access key of the bucket, a line each (default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)
    #[arg(long, env = "NIGHTBELL_ARCHIVE_KEY_FILE", value_name = "FILE")]
    pub(crate) archive_key_file: Option<PathBuf>,

    /// Certificates (PEM) to trust at the bucket's server, instead of the system's
    #[arg(long, env = "NIGHTBELL_ARCHIVE_CA_FILE", value_name = "FILE")]
    pub(crate) archive_ca_file: Option<PathBuf>,

    /// Topic that is told the archive's head once a day, by its ARN (default: none)
    #[arg(long, env = "NIGHTBELL_ARCHIVE_HEAD_TOPIC", value_name = "ARN")]
    pub(crate) archive_head_topic: Option<String>,

    /// Mail server: smtp://HOST:PORT, smtps://HOST or smtp+starttls://HOST (default: none, mails are kept in DATA/mailbox)
    #[arg(long, env = "NIGHTBELL_SMTP", value_name = "URL")]
    pub(crate) smtp: Option<String>,

    /// User name at the mail server; the password comes from NIGHTBELL_SMTP_PASSWORD or --smtp-password-file
    #[arg(long, env = "NIGHTBELL_SMTP_USER", value_name = "NAME")]
    pub(crate) smtp_user: Option<String>,

    /// File whose first line is the password at the mail server
    #[arg(long, env = "NIGHTBELL_SMTP_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) smtp_password_file: Option<PathBuf>,

    /// Certificates (PEM) to trust at the mail server, instead of the system's
    #[arg(long, env = "NIGHTBELL_SMTP_CA_FILE", value_name = "FILE")]
    pub(crate) smtp_ca_file: Option<PathBuf>,

    /// Certificates (PEM) to trust at web endpoints of topics and delivery streams, beside the system's
    #[arg(long, env = "NIGHTBELL_WEB_CA_FILE", value_name = "FILE")]
    pub(crate) web_ca_file: Option<PathBuf>,

    /// Sender of mails (default: nightbell@localhost)
    #[arg(long, env = "NIGHTBELL_MAIL_FROM", value_name = "ADDRESS")]
    pub(crate) mail_from: Option<String>,

    /// Server of the buckets that delivery streams write to, http://… or https://… (default: Amazon S3 in the stream's region)
    #[arg(long, env = "NIGHTBELL_STREAMS_ENDPOINT", value_name = "URL")]
    pub(crate) streams_endpoint: Option<String>,

    /// File with access key id and secret access key for these buckets, a line each (default: none, and no delivery streams)
    #[arg(long, env = "NIGHTBELL_STREAMS_KEY_FILE", value_name = "FILE")]
    pub(crate) streams_key_file: Option<PathBuf>,

    /// File whose first line is the access key that delivery streams send to /_nightbell/firehose/ (default: none, and nothing is received)
    #[arg(long, env = "NIGHTBELL_RECEIVER_KEY_FILE", value_name = "FILE")]
    pub(crate) receiver_key_file: Option<PathBuf>,

    /// Domains and addresses in whose name SES sends without asking, separated by commas (default: none)
    #[arg(long, env = "NIGHTBELL_SES_VERIFIED", value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ses_verified: Option<Vec<String>>,

    /// Proxies whose X-Forwarded-For is believed: addresses and ranges, separated by commas (default: none)
    #[arg(long, env = "NIGHTBELL_TRUSTED_PROXIES", value_delimiter = ',', value_name = "RANGES")]
    pub(crate) trusted_proxies: Option<Vec<String>>,

    /// Address of this server in links of mails (default: http://ADDR:PORT)
    #[arg(long, env = "NIGHTBELL_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// Account that resources belong to, 12 digits (default: 000000000000)
    #[arg(long, env = "NIGHTBELL_ACCOUNT_ID", value_name = "ID")]
    pub(crate) account_id: Option<String>,

    /// Region that `nightbell env` and the other commands work in; requests carry their own (default: us-east-1)
    #[arg(long, env = "NIGHTBELL_REGION", value_name = "NAME")]
    pub(crate) region: Option<String>,

    /// Serve POST /_nightbell/reset, which empties everything: for tests, on loopback only
    #[arg(long, env = "NIGHTBELL_ALLOW_RESET", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) allow_reset: Option<bool>,

    /// Contributors (users, folders, machines …) that one alarm counts at once, 100 to 1000000 (default: 100000)
    #[arg(long, env = "NIGHTBELL_CONTRIBUTORS_MAX", value_name = "N")]
    pub(crate) contributors_max: Option<usize>,

    /// Disk that events may take, such as 200GiB: from there on new ones are refused as throttled (default: no limit)
    #[arg(long, env = "NIGHTBELL_DISK_BYTES_MAX", value_name = "SIZE")]
    pub(crate) disk_bytes_max: Option<Size>,

    /// Whether functions run: off, on (confined where the system allows it), or confined (else not at all) (default: off)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS", value_name = "MODE")]
    pub(crate) functions: Option<String>,

    /// Interpreter of functions in Python; it needs the module awslambdaric (default: python3)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS_PYTHON", value_name = "PROGRAM")]
    pub(crate) functions_python: Option<PathBuf>,

    /// Interpreter of functions in JavaScript (default: node)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS_NODE", value_name = "PROGRAM")]
    pub(crate) functions_node: Option<PathBuf>,

    /// Folder of modules for all functions, laid out as a layer: python/ and nodejs/node_modules/ (default: none)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS_MODULES", value_name = "DIR")]
    pub(crate) functions_modules: Option<PathBuf>,

    /// User that functions run as, where the server runs as root (default: nobody)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS_USER", value_name = "NAME")]
    pub(crate) functions_user: Option<String>,

    /// Processes of functions at one time, 1 to 1000 (default: 10)
    #[arg(long, env = "NIGHTBELL_FUNCTIONS_CONCURRENCY", value_name = "N")]
    pub(crate) functions_concurrency: Option<usize>,

    /// What is logged: error, warn, info, debug, or a tracing filter such as info,nightbell=debug (default: info)
    #[arg(long, env = "NIGHTBELL_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// How log lines look: text or json (default: text)
    #[arg(long, env = "NIGHTBELL_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// What the server runs on: checked, resolved, defaults applied.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The folder that holds everything.
    pub(crate) data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Where the archive lies.
    pub(crate) archive: ArchivePlace,
    /// How long events wait in the journal before they are archived, in milliseconds.
    pub(crate) archive_after_ms: i64,
    /// The topic that is told the archive's head once a day.
    pub(crate) archive_head_topic: Option<String>,
    /// The mail server; `None` keeps mails in a folder.
    pub(crate) smtp: Option<SmtpConfig>,
    /// Certificates (PEM) to trust at web endpoints, beside the system's.
    pub(crate) web_trusted_pem: Option<Vec<u8>>,
    /// Sender of mails.
    pub(crate) mail_from: String,
    /// The server of the buckets that delivery streams write to; `None` where there are no delivery streams.
    pub(crate) streams: Option<Server>,
    /// What delivery streams that send to this server name themselves by.
    pub(crate) receiver_key: Option<Secret>,
    /// Domains and addresses in whose name mail may be sent.
    pub(crate) ses_verified: Vec<String>,
    /// Proxies that are believed where requests come from.
    pub(crate) trusted_proxies: Vec<Cidr>,
    /// Base of links in mails; `None` until the port is known.
    pub(crate) public_url: Option<String>,
    /// 12 digits.
    pub(crate) account: String,
    /// The region of the commands.
    pub(crate) region: String,
    /// Whether everything may be emptied by request.
    pub(crate) allow_reset: bool,
    /// Contributors that one alarm holds at once.
    pub(crate) contributors_max: usize,
    /// Bytes of disk from which on events are refused.
    pub(crate) disk_bytes_max: Option<u64>,
    /// What functions run on; `None` where they are off.
    pub(crate) functions: Option<FunctionConfig>,
    /// Filter of log lines.
    pub(crate) log: String,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
}

impl Settings {
    /// What the environment says, as the server would read it.
    pub(crate) fn from_environment() -> Self {
        let command = Self::augment_args(clap::Command::new("nightbell").no_binary_name(true));
        let none: [&str; 0] = [];
        let matches = command.try_get_matches_from(none).ok();
        matches.and_then(|matches| Self::from_arg_matches(&matches).ok()).unwrap_or_default()
    }

    /// These settings, completed by those of `file`; refuses unknown keys by name.
    pub(crate) fn with_file(self, file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Ok(self) };
        let text =
            read_text(path).with_context(|| format!("cannot read configuration {}", path.display()))?;
        let below: Self = toml::from_str(&text)
            .with_context(|| format!("configuration {} is not right", path.display()))?;
        Ok(Self {
            data: self.data.or(below.data),
            listen: self.listen.or(below.listen),
            archive: self.archive.or(below.archive),
            archive_after: self.archive_after.or(below.archive_after),
            archive_endpoint: self.archive_endpoint.or(below.archive_endpoint),
            archive_region: self.archive_region.or(below.archive_region),
            archive_key_file: self.archive_key_file.or(below.archive_key_file),
            archive_ca_file: self.archive_ca_file.or(below.archive_ca_file),
            archive_head_topic: self.archive_head_topic.or(below.archive_head_topic),
            smtp: self.smtp.or(below.smtp),
            smtp_user: self.smtp_user.or(below.smtp_user),
            smtp_password_file: self.smtp_password_file.or(below.smtp_password_file),
            smtp_ca_file: self.smtp_ca_file.or(below.smtp_ca_file),
            web_ca_file: self.web_ca_file.or(below.web_ca_file),
            mail_from: self.mail_from.or(below.mail_from),
            streams_endpoint: self.streams_endpoint.or(below.streams_endpoint),
            streams_key_file: self.streams_key_file.or(below.streams_key_file),
            receiver_key_file: self.receiver_key_file.or(below.receiver_key_file),
            ses_verified: self.ses_verified.or(below.ses_verified),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            public_url: self.public_url.or(below.public_url),
            account_id: self.account_id.or(below.account_id),
            region: self.region.or(below.region),
            allow_reset: self.allow_reset.or(below.allow_reset),
            contributors_max: self.contributors_max.or(below.contributors_max),
            disk_bytes_max: self.disk_bytes_max.or(below.disk_bytes_max),
            functions: self.functions.or(below.functions),
            functions_python: self.functions_python.or(below.functions_python),
            functions_node: self.functions_node.or(below.functions_node),
            functions_modules: self.functions_modules.or(below.functions_modules),
            functions_user: self.functions_user.or(below.functions_user),
            functions_concurrency: self.functions_concurrency.or(below.functions_concurrency),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        })
    }

    /// The folder that holds everything.
    pub(crate) fn data_folder(&self) -> Result<PathBuf> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let folders = directories::ProjectDirs::from("", "", "nightbell")
            .context("no home folder is known; say where to keep data with --data DIR")?;
        Ok(folders.data_dir().to_path_buf())
    }

    /// The region of the commands, checked.
    pub(crate) fn region_name(&self) -> Result<String> {
        let region = self.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        if !is_region(&region) {
            bail!("region: {region:?} is not a name of 1 to 64 letters, digits, '-' or '_'");
        }
        Ok(region)
    }

    /// Checks every setting and applies the defaults.
    pub(crate) fn check(&self) -> Result<Config> {
        let listen = self.listen.as_deref().unwrap_or(LISTEN_DEFAULT);
        let listen: SocketAddr = listen
            .parse()
            .with_context(|| format!("listen: {listen:?} is not ADDR:PORT, for example {LISTEN_DEFAULT}"))?;
        let account = self.account_id.clone().unwrap_or_else(|| "000000000000".to_owned());
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            bail!("account_id: {account:?} is not 12 digits");
        }
        let allow_reset = self.allow_reset.unwrap_or(false);
        if allow_reset && !listen.ip().is_loopback() {
            bail!("allow_reset: works on a loopback address only, and listen is {listen}");
        }
        let contributors_max = self.contributors_max.unwrap_or(CONTRIBUTORS_MAX);
        if !(100..=1_000_000).contains(&contributors_max) {
            bail!("contributors_max: {contributors_max} is outside 100 to 1000000");
        }
        let disk_bytes_max = self.disk_bytes_max.map(Size::bytes);
        if let Some(bytes) = disk_bytes_max.filter(|bytes| *bytes < DISK_BYTES_MAX_MIN) {
            bail!(
                "disk_bytes_max: {bytes} bytes are fewer than {DISK_BYTES_MAX_MIN}, which the store needs for itself"
            );
        }
        let log_json = match self.log_format.as_deref().unwrap_or("text") {
            "text" => false,
            "json" => true,
            other => bail!("log_format: {other:?} is neither text nor json"),
        };
        let public_url = self.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            bail!("public_url: {url:?} does not start with http:// or https://");
        }
        let data = self.data_folder()?;
        Ok(Config {
            archive: archive::place(self, &data)?,
            archive_after_ms: archive::after_ms(self.archive_after.as_deref())?,
            archive_head_topic: self.head_topic()?,
            data,
            listen,
            smtp: self.smtp()?,
            web_trusted_pem: self.web_trusted_pem()?,
            mail_from: self.mail_from.clone().unwrap_or_else(|| "nightbell@localhost".to_owned()),
            streams: archive::streams(self)?,
            receiver_key: self.receiver_key()?,
            ses_verified: self.senders()?,
            trusted_proxies: self.proxies()?,
            public_url,
            account,
            region: self.region_name()?,
            allow_reset,
            contributors_max,
            disk_bytes_max,
            functions: functions::read(self)?,
            log: self.log.clone().unwrap_or_else(|| "info".to_owned()),
            log_json,
        })
    }

    /// Where the archive lies, without a look at the other settings.
    pub(crate) fn archive_place(&self) -> Result<ArchivePlace> {
        archive::place(self, &self.data_folder()?)
    }

    fn head_topic(&self) -> Result<Option<String>> {
        let Some(topic) = &self.archive_head_topic else { return Ok(None) };
        if !topic.starts_with("arn:aws:sns:") || topic.split(':').count() != 6 {
            bail!("archive_head_topic: {topic:?} is not a topic's ARN, arn:aws:sns:REGION:ACCOUNT:NAME");
        }
        Ok(Some(topic.clone()))
    }

    fn web_trusted_pem(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.web_ca_file else { return Ok(None) };
        let pem = read_text(path).with_context(|| format!("web_ca_file: cannot read {}", path.display()))?;
        Ok(Some(pem.into_bytes()))
    }

    fn receiver_key(&self) -> Result<Option<Secret>> {
        let Some(path) = &self.receiver_key_file else { return Ok(None) };
        let text =
            read_text(path).with_context(|| format!("receiver_key_file: cannot read {}", path.display()))?;
        let key = text.lines().next().unwrap_or_default().trim();
        if key.len() < RECEIVER_KEY_BYTES_MIN {
            bail!("receiver_key_file: the first line has fewer than {RECEIVER_KEY_BYTES_MIN} letters");
        }
        Ok(Some(Secret(key.to_owned())))
    }

    fn senders(&self) -> Result<Vec<String>> {
        let given = self.ses_verified.iter().flatten();
        given
            .map(|name| {
                identities::normal(name)
                    .with_context(|| format!("ses_verified: {name:?} is neither a domain nor a mail address"))
            })
            .collect()
    }

    fn proxies(&self) -> Result<Vec<Cidr>> {
        let given = self.trusted_proxies.iter().flatten();
        given
            .map(|range| {
                Cidr::parse(range.trim()).with_context(|| {
                    format!("trusted_proxies: {range:?} is no address and no range, as 203.0.113.0/24")
                })
            })
            .collect()
    }

    fn smtp(&self) -> Result<Option<SmtpConfig>> {
        let Some(url) = &self.smtp else { return Ok(None) };
        let password = match (&self.smtp_password_file, std::env::var("NIGHTBELL_SMTP_PASSWORD")) {
            (Some(path), _) => {
                let text = read_text(path)
                    .with_context(|| format!("smtp_password_file: cannot read {}", path.display()))?;
                Some(text.lines().next().unwrap_or_default().to_owned())
            }
            (None, Ok(password)) => Some(password),
            (None, Err(_)) => None,
        };
        let mut smtp =
            SmtpConfig::parse(url, self.smtp_user.as_deref(), password.as_deref()).context("smtp")?;
        if let Some(path) = &self.smtp_ca_file {
            let pem =
                read_text(path).with_context(|| format!("smtp_ca_file: cannot read {}", path.display()))?;
            smtp.trusted_pem = Some(pem.into_bytes());
        }
        Ok(Some(smtp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("nightbell.toml");
        std::fs::write(&path, text)?;
        Settings::default().with_file(Some(&path))
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = format!("{:#}", file("lisen = \"127.0.0.1:1\"").expect_err("unknown key"));
        assert!(error.contains("lisen") && error.contains("listen"), "{error}");
    }

    #[test]
    fn a_flag_goes_before_the_file() {
        let flags = Settings { region: Some("berlin".into()), ..Settings::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.toml");
        std::fs::write(&path, "region = \"paris\"\naccount_id = \"123456789012\"").unwrap();
        let config = flags.with_file(Some(&path)).unwrap().check().unwrap();
        assert_eq!((config.region.as_str(), config.account.as_str()), ("berlin", "123456789012"));
    }

    #[test]
    fn wrong_values_name_the_setting() {
        for (text, name) in [
            ("listen = \"nowhere\"", "listen"),
            ("account_id = \"12\"", "account_id"),
            ("region = \"a b\"", "region"),
            ("log_format = \"xml\"", "log_format"),
            ("public_url = \"ftp://x\"", "public_url"),
            ("streams_endpoint = \"nowhere\"", "streams_endpoint"),
            ("ses_verified = [\"a b\"]", "ses_verified"),
            ("trusted_proxies = [\"10.0.0.0/33\"]", "trusted_proxies"),
            ("archive = \"s3://x\"", "archive"),
            ("archive_after = \"soon\"", "archive_after"),
            ("archive_head_topic = \"heads\"", "archive_head_topic"),
            ("disk_bytes_max = \"1MiB\"", "disk_bytes_max"),
            ("functions = \"yes\"", "functions"),
            ("functions = \"on\"\nfunctions_user = \"root\"", "functions_user"),
            ("functions = \"on\"\nfunctions_concurrency = 0", "functions_concurrency"),
            ("listen = \"0.0.0.0:1\"\nallow_reset = true", "allow_reset"),
        ] {
            let error = format!("{:#}", file(text).unwrap().check().expect_err(text));
            assert!(error.starts_with(name), "{error}");
        }
    }
}
