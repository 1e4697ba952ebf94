/*!
Where the archive lies: the settings `archive…` made into an [`ArchivePlace`], and the archive opened there.

Reads key and certificate files; what stands in them is never told.
*/

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use nightbell_store::Catalog;
use nightbell_store::archive::{Archive, Bucket, BucketKey};

use super::{Config, Settings};
use crate::bounded::read_text;
use crate::streams::delivery::Server;

/// How long events wait in the journal before they are archived, when nothing is said.
const ARCHIVE_AFTER_MS_DEFAULT: i64 = HOUR_MS;
/// How long they wait at most: the journal is not made for more.
const ARCHIVE_AFTER_MS_MAX: i64 = 7 * DAY_MS;

/// Where the archive lies.
#[derive(Clone, Debug)]
pub(crate) enum ArchivePlace {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In an S3 bucket.
    Bucket(Bucket),
}

impl fmt::Display for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl ArchivePlace {
    /// The archive there, listed in `catalog`. A bucket is not asked yet.
    pub(crate) fn open(&self, catalog: Arc<dyn Catalog>) -> Result<Archive> {
        match self {
            Self::Folder(folder) => Archive::open_folder(folder, catalog),
            Self::Bucket(bucket) => Archive::open_bucket(bucket, catalog),
        }
        .with_context(|| format!("cannot open the archive in {self}"))
    }
}

/// Opens the archive that the settings name.
pub(crate) fn open_archive(config: &Config, catalog: Arc<dyn Catalog>) -> Result<Archive> {
    config.archive.open(catalog)
}

/// Where the settings say that the archive lies.
pub(super) fn place(settings: &Settings, data: &Path) -> Result<ArchivePlace> {
    let Some(archive) = &settings.archive else { return Ok(ArchivePlace::Folder(data.join("archive"))) };
    match archive.strip_prefix("s3://") {
        Some(place) => bucket(settings, place).map(ArchivePlace::Bucket),
        None if archive.contains("://") => {
            bail!("archive: {archive:?} is neither a folder nor s3://BUCKET/PREFIX")
        }
        None if archive.is_empty() => bail!("archive: names no folder; leave it out for DATA/archive"),
        None => Ok(ArchivePlace::Folder(PathBuf::from(archive))),
    }
}

fn bucket(settings: &Settings, place: &str) -> Result<Bucket> {
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    ensure!(
        (3..=63).contains(&name.len()) && name.chars().all(is_plain),
        "archive: {name:?} is no bucket's name of 3 to 63 small letters, digits, '.' or '-'"
    );
    let prefix = prefix.trim_end_matches('/');
    let is_step = |step: &str| !matches!(step, "" | "." | "..") && step.chars().all(|c| c.is_ascii_graphic());
    ensure!(
        prefix.is_empty() || prefix.split('/').all(is_step),
        "archive: {prefix:?} is no prefix such as nightbell/site-1"
    );
    let endpoint = settings.archive_endpoint.clone();
    if let Some(endpoint) = &endpoint {
        ensure!(
            endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "archive_endpoint: {endpoint:?} does not start with http:// or https://"
        );
    }
    let trusted_pem = settings.archive_ca_file.as_deref().map(|path| {
        let pem = read_text(path);
        pem.map(String::into_bytes)
            .with_context(|| format!("archive_ca_file: cannot read {}", path.display()))
    });
    let region = match &settings.archive_region {
        Some(region) => region.clone(),
        None => settings.region_name()?,
    };
    ensure!(
        crate::auth::is_region(&region),
        "archive_region: {region:?} is not a region such as eu-central-1"
    );
    Ok(Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        endpoint,
        region,
        key: key("archive", settings.archive_key_file.as_deref(), &|name| std::env::var(name).ok())?,
        trusted_pem: trusted_pem.transpose()?,
    })
}

/// The server of the buckets that delivery streams write to.
pub(super) fn streams(settings: &Settings) -> Result<Option<Server>> {
    let endpoint = settings.streams_endpoint.clone();
    if let Some(endpoint) = &endpoint {
        ensure!(
            endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "streams_endpoint: {endpoint:?} does not start with http:// or https://"
        );
    }
    let Some(path) = settings.streams_key_file.as_deref() else {
        ensure!(endpoint.is_none(), "streams_endpoint: needs streams_key_file, the key of its buckets");
        return Ok(None);
    };
    Ok(Some(Server { endpoint, key: key("streams", Some(path), &|_| None)? }))
}

/// The key: of the file, or of the variables that AWS's own tools read.
fn key(what: &str, file: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) -> Result<BucketKey> {
    if let Some(path) = file {
        let text =
            read_text(path).with_context(|| format!("{what}_key_file: cannot read {}", path.display()))?;
        let mut lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        let (Some(id), Some(secret)) = (lines.next(), lines.next()) else {
            bail!(
                "{what}_key_file: {} has not two lines, the access key id and the secret access key",
                path.display()
            );
        };
        return Ok(BucketKey { id, secret, session_token: lines.next() });
    }
    let told = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (Some(id), Some(secret)) = (told("AWS_ACCESS_KEY_ID"), told("AWS_SECRET_ACCESS_KEY")) else {
        bail!(
            "archive: a bucket needs a key; name a file with archive_key_file, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        );
    };
    Ok(BucketKey { id, secret, session_token: told("AWS_SESSION_TOKEN") })
}

/// How long events wait in the journal, in milliseconds.
pub(super) fn after_ms(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(ARCHIVE_AFTER_MS_DEFAULT) };
    let wrong = || format!("archive_after: {text:?} is not a time from 1s to 7d, such as 10m or 1h");
    let unit_ms = match text.chars().next_back() {
        Some('s') => SECOND_MS,
        Some('m') => MINUTE_MS,
        Some('h') => HOUR_MS,
        Some('d') => DAY_MS,
        _ => bail!(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().with_context(wrong)?;
    let after_ms = i64::from(number).saturating_mul(unit_ms);
    ensure!((SECOND_MS..=ARCHIVE_AFTER_MS_MAX).contains(&after_ms), wrong());
    Ok(after_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(folder: &Path, archive: &str) -> Settings {
        let path = folder.join("key");
        std::fs::write(&path, "AKID\nhush\n").unwrap();
        Settings { archive: Some(archive.into()), archive_key_file: Some(path), ..Settings::default() }
    }

    #[test]
    fn a_folder_or_a_bucket() {
        let data = tempfile::tempdir().unwrap();
        let shown = |settings: &Settings| place(settings, data.path()).map(|place| place.to_string());
        assert_eq!(
            shown(&Settings::default()).unwrap(),
            data.path().join("archive").display().to_string(),
            "by default"
        );
        assert_eq!(shown(&with_key(data.path(), "/var/archive")).unwrap(), "/var/archive");
        assert_eq!(shown(&with_key(data.path(), "s3://events/site/one/")).unwrap(), "s3://events/site/one");
        assert_eq!(shown(&with_key(data.path(), "s3://events")).unwrap(), "s3://events");
        for wrong in
            ["s3://", "s3://X", "s3://events//a", "s3://events/../a", "s3://events/a b", "gs://events", ""]
        {
            let error = format!("{:#}", shown(&with_key(data.path(), wrong)).expect_err(wrong));
            assert!(error.starts_with("archive:"), "{error}");
        }
        let far =
            Settings { archive_endpoint: Some("minio:9000".into()), ..with_key(data.path(), "s3://events") };
        let error = format!("{:#}", shown(&far).expect_err("no scheme"));
        assert!(error.starts_with("archive_endpoint:"), "{error}");
    }

    #[test]
    fn the_key_comes_from_the_file_or_from_the_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let variables = |name: &str| (name != "AWS_SESSION_TOKEN").then(|| name.to_lowercase());
        std::fs::write(&path, "AKID\n hush\n").unwrap();
        let found = key("archive", Some(&path), &variables).unwrap();
        assert_eq!((found.id.as_str(), found.secret.as_str(), found.session_token), ("AKID", "hush", None));
        assert_eq!(key("archive", None, &variables).unwrap().secret, "aws_secret_access_key");
        assert!(key("archive", None, &|_| None).is_err());
        std::fs::write(&path, "hush\n").unwrap();
        let error = format!("{:#}", key("archive", Some(&path), &variables).expect_err("one line"));
        assert!(error.starts_with("archive_key_file:") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn waits_have_bounds() {
        for (text, after) in
            [(None, HOUR_MS), (Some("1s"), 1_000), (Some("10m"), 600_000), (Some("7d"), 7 * DAY_MS)]
        {
            assert_eq!(after_ms(text).unwrap(), after, "{text:?}");
        }
        for wrong in ["", "0s", "8d", "10", "m", "-1h", "1µ", "99999999999h"] {
            let error = format!("{:#}", after_ms(Some(wrong)).expect_err(wrong));
            assert!(error.starts_with("archive_after:"), "{error}");
        }
    }
}
