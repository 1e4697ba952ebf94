/*!
Mail as files in a folder: what an installation without a mail server has.

Each mail is one `.eml` file, complete or not there at all, named by its time and id, so a repeated delivery is the same
file. Only the owner may read them: they name people.
*/

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::message::{Mail, clean_line};
use crate::{Post, Posted, REASON_CHARS_MAX, Receipt, SendError, mime};
use nightbell_core::time::Timestamp;

/// A folder that takes mail.
#[derive(Clone, Debug)]
pub struct Mailbox {
    folder: PathBuf,
}

impl Mailbox {
    /// The mailbox in `folder`, which is made, readable by its owner alone, where it is not there.
    ///
    /// # Errors
    ///
    /// The folder can't be made.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self { folder })
    }

    /// Where the mails are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes `mail`, once: a mail that is already there is left as it is.
    ///
    /// # Errors
    ///
    /// [`SendError::Never`] for a bad address, [`SendError::Later`] when the file can't be written.
    pub async fn send(&self, mail: &Mail) -> Result<Receipt, SendError> {
        let bytes = mime::message(mail)?.formatted();
        self.keep(&file_name(mail.date, &mail.id), bytes).await
    }

    /// Writes a mail that others wrote, once, for all its recipients.
    ///
    /// # Errors
    ///
    /// [`SendError::Later`] when the file can't be written.
    pub async fn post(&self, post: &Post) -> Result<Posted, SendError> {
        let receipt = self.keep(&file_name(post.date, &post.id), post.content.clone()).await?;
        Ok(Posted { receipt: Some(receipt), ..Posted::default() })
    }

    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<Receipt, SendError> {
        let path = self.folder.join(name);
        let receipt = Receipt { detail: clean_line(&path.display().to_string(), REASON_CHARS_MAX) };
        let written = tokio::task::spawn_blocking(move || write_once(&path, &bytes)).await;
        let error = match written {
            Ok(Ok(())) => return Ok(receipt),
            Ok(Err(error)) => error,
            Err(stopped) => io::Error::other(stopped),
        };
        let reason = clean_line(&format!("the mailbox cannot be written: {error}"), REASON_CHARS_MAX);
        Err(SendError::Later { reason, not_before: None })
    }
}

/// `20260914T054201.123Z-<id>.eml`: sorts by time.
fn file_name(date: Timestamp, id: &str) -> String {
    let time: String = date.iso().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{time}-{id}.eml")
}

/// Writes beside and renames, so that the name only ever stands for a whole mail; both are on disk when this returns.
fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&part, path)?;
    sync_folder(path)
}

/// Makes the new name durable. Other systems than Unix have no way to ask for it.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;

    fn mail(id: &str, to: &str) -> Mail {
        Mail {
            id: id.to_owned(),
            message_id: format!("<{id}@nightbell.example.org>"),
            date: Timestamp::from_millis(1_789_364_521_123),
            from: "Nightbell <nightbell@example.org>".to_owned(),
            to: to.to_owned(),
            subject: "Häufung".to_owned(),
            text: "text\n".to_owned(),
            html: None,
            inline: Vec::new(),
            attachments: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn writes_each_mail_once() {
        let home = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::open(home.path().join("mail")).unwrap();
        let first = mailbox.send(&mail("a1", "ann@example.org")).await.unwrap();
        let again = mailbox.send(&mail("a1", "ann@example.org")).await.unwrap();
        mailbox.send(&mail("b2", "ann@example.org")).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(
            names(mailbox.folder()),
            ["20260914T054201.123Z-a1.eml", "20260914T054201.123Z-b2.eml"],
            "and no parts are left"
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::open(home.path().join("mail")).unwrap();
        mailbox.send(&mail("a1", "ann@example.org")).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(mailbox.folder()), 0o700);
        assert_eq!(mode(&mailbox.folder().join("20260914T054201.123Z-a1.eml")), 0o600);
    }

    #[tokio::test]
    async fn a_part_left_by_a_crash_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::open(home.path()).unwrap();
        fs::write(home.path().join("20260914T054201.123Z-a1.part"), "half a m").unwrap();
        mailbox.send(&mail("a1", "ann@example.org")).await.unwrap();
        assert_eq!(names(home.path()), ["20260914T054201.123Z-a1.eml"]);
    }

    #[tokio::test]
    async fn a_lost_folder_is_worth_another_try_and_a_bad_address_is_not() {
        let home = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::open(home.path().join("mail")).unwrap();
        fs::remove_dir(mailbox.folder()).unwrap();
        assert!(matches!(mailbox.send(&mail("a1", "ann@example.org")).await, Err(SendError::Later { .. })));
        assert!(matches!(mailbox.send(&mail("a1", "not an address")).await, Err(SendError::Never { .. })));
    }
}
