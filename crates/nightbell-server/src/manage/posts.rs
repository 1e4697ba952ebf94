/*!
Mails that clients send: taken into the outbox, kept until they have left, counted.

The text lies beside its delivery, under the same id, so that the outbox stays quick to read; both come and go in one commit.
*/

use nightbell_core::delivery::{Content, Delivery, RawMail};
use nightbell_core::time::{DAY_MS, MINUTE_MS, Timestamp};
use nightbell_core::topic::Endpoint;
use nightbell_deliver::Post;
use nightbell_store::{Space, Write};
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::topics::{Lanes, Waiting};
use crate::catalog::{Failure, Key, Records, delete, put};

/// Bytes of a mail ("Service quotas in Amazon SES").
pub(crate) const POST_BYTES_MAX: usize = 10 << 20;
/// Recipients of a mail ("Service quotas in Amazon SES").
pub(crate) const RECIPIENTS_MAX: usize = 50;
/// Mails that wait to be sent.
pub(crate) const POSTS_WAITING_MAX: usize = 10_000;
/// Bytes of all that wait.
pub(crate) const POSTS_WAITING_BYTES_MAX: u64 = 1 << 30;
/// Length of one entry of the statistics ("SendDataPoint", SES API).
pub(crate) const STATISTICS_MS: i64 = 15 * MINUTE_MS;
/// How long statistics are kept ("GetSendStatistics", SES API).
const STATISTICS_AGE_MAX_MS: i64 = 14 * DAY_MS;

/// What was sent in a quarter of an hour, by recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Start of the quarter.
    pub(crate) start: Timestamp,
    /// Recipients that mails were taken for.
    pub(crate) attempts: u64,
    /// Recipients refused for good.
    pub(crate) bounces: u64,
}

fn content_key(id: &str) -> Key {
    Key::of(&["post", id])
}

fn size_key(id: &str) -> Key {
    Key::of(&["post-size", id])
}

fn statistics_key(region: &str, start: Timestamp) -> Key {
    Key::of(&["post-statistics", region, &format!("{:015}", start.as_millis())])
}

/// Adds `post` to the outbox, and counts it in `region`. The caller holds the turn and commits.
pub(crate) fn add(
    records: &Records,
    lanes: &Lanes,
    region: Option<&str>,
    post: &Post,
    change: &mut Write,
) -> Result<(), Refusal> {
    let sizes: Vec<u64> = records.list(&Key::prefix(&["post-size"], ""))?;
    let bytes: u64 = sizes.iter().sum();
    if sizes.len() >= POSTS_WAITING_MAX || bytes + post.content.len() as u64 > POSTS_WAITING_BYTES_MAX {
        return Err(Refusal::Limit(format!(
            "{} mails of {bytes} bytes wait for the mail server; the limits are {POSTS_WAITING_MAX} and \
             {POSTS_WAITING_BYTES_MAX}. Try again when it has taken some",
            sizes.len()
        )));
    }
    let Some(first) = post.recipients.first() else {
        return Err(Refusal::Invalid("At least one recipient is required".into()));
    };
    let delivery = Delivery {
        id: post.id.clone(),
        created: post.date,
        topic: String::new(),
        endpoint: Endpoint::Email(first.clone()),
        unsubscribe_url: None,
        content: Content::Raw(RawMail {
            sender: post.sender.clone(),
            recipients: post.recipients.clone(),
            region: region.map(str::to_owned),
        }),
    };
    change.put(Space::Catalog, content_key(&post.id).bytes(), post.content.clone());
    put(change, &size_key(&post.id), &(post.content.len() as u64));
    let message_id = String::new(); // it is no notification
    let waiting = Waiting { delivery, tries: 0, last_error: None, subscription: None, message_id };
    lanes.enqueue(change, post.date, &waiting);
    if let Some(region) = region {
        count(records, region, post.date, change, |sent| sent.attempts += post.recipients.len() as u64)?;
    }
    Ok(())
}

/// The text of a mail that waits; nothing where it has left.
pub(crate) fn content(records: &Records, id: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(records.store().get(Space::Catalog, content_key(id).bytes())?)
}

/// Adds to `change` that the mail has left, or never will.
pub(crate) fn forget(id: &str, change: &mut Write) {
    delete(change, &content_key(id));
    delete(change, &size_key(id));
}

/// Changes what is counted for the quarter of an hour that `now` is in. The caller holds the turn and commits.
pub(crate) fn count(
    records: &Records,
    region: &str,
    now: Timestamp,
    change: &mut Write,
    edit: impl FnOnce(&mut Sent),
) -> Result<(), Failure> {
    let start = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(STATISTICS_MS));
    let key = statistics_key(region, start);
    let mut sent = match records.get::<Sent>(&key)? {
        Some(sent) => sent,
        None => {
            for old in records.keys(&Key::prefix(&["post-statistics", region], ""))? {
                if old.bytes() < statistics_key(region, start.plus_millis(-STATISTICS_AGE_MAX_MS)).bytes() {
                    delete(change, &old);
                }
            }
            Sent { start, ..Sent::default() }
        }
    };
    edit(&mut sent);
    put(change, &key, &sent);
    Ok(())
}

/// What was sent in the last two weeks, earliest first.
pub(crate) fn statistics(records: &Records, region: &str, now: Timestamp) -> Result<Vec<Sent>, Failure> {
    let mut all: Vec<Sent> = records.list(&Key::prefix(&["post-statistics", region], ""))?;
    all.retain(|sent| now.since(sent.start) <= STATISTICS_AGE_MAX_MS);
    Ok(all)
}

/// Recipients of the last 24 hours, to the quarter of an hour.
pub(crate) fn sent_in_a_day(records: &Records, region: &str, now: Timestamp) -> Result<u64, Failure> {
    let all = statistics(records, region, now)?;
    Ok(all.iter().filter(|sent| now.since(sent.start) < DAY_MS).map(|sent| sent.attempts).sum())
}
