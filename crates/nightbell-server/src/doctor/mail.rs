/*!
Whether mails would leave: the mail server, its certificate and the log-in; a mail is sent only when asked for.
*/

use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_deliver::smtp::Examined;
use nightbell_deliver::{Channel, Mail, SendError};
use uuid::Uuid;

use super::{Check, origin};
use crate::clock;
use crate::config::Config;

/// Days before a certificate's end at which it is told.
const CERTIFICATE_DAYS_MIN: i64 = 14;

/// All checks of mail.
pub(super) async fn checks(channel: &Channel, config: &Config, send_test: Option<&str>) -> Vec<Check> {
    let now = clock::now();
    let mut checks = match channel {
        Channel::Mailbox(_) => vec![no_server()],
        Channel::Smtp(smtp) => match smtp.examine(now).await {
            Ok(examined) => reached(&examined, config, now),
            Err(error) => vec![Check::fail("mail", error.to_string(), advice(&error))],
        },
    };
    if origin(config).is_none() {
        let seen = format!("{:?} is no mail address", config.mail_from);
        checks.push(Check::fail("sender", seen, "correct mail_from"));
    }
    if let Some(to) = send_test {
        checks.push(match channel.send(&test_mail(config, to, now), now).await {
            Ok(receipt) => Check::ok("test mail", format!("sent to {to}: {}", receipt.detail)),
            Err(error) => Check::fail("test mail", error.to_string(), advice(&error)),
        });
    }
    checks
}

/// Mails stay in a folder.
pub(super) fn no_server() -> Check {
    let advice = "set smtp, so that people are told";
    Check::warn("mail", "no mail server is configured: mails are kept in DATA/mailbox", advice)
}

fn advice(error: &SendError) -> &'static str {
    match error {
        SendError::Later { reason, .. } if reason.contains("log-in") => {
            "correct smtp_user and the password (NIGHTBELL_SMTP_PASSWORD or smtp_password_file)"
        }
        SendError::Later { reason, .. } if reason.contains("certificate") => {
            "name the authority's certificates with smtp_ca_file, or have the mail server's renewed"
        }
        SendError::Later { .. } => {
            "is the name right, does the server run, and does the firewall let this machine through?"
        }
        SendError::Never { .. } => "correct the address, or have the mail server accept it",
    }
}

fn reached(examined: &Examined, config: &Config, now: Timestamp) -> Vec<Check> {
    let Examined { server, encrypted, log_ins, logged_in, certificate_until, trusted_until } = examined;
    let tls = if *encrypted { "with TLS" } else { "without TLS" };
    let logged = match (logged_in, &log_ins[..]) {
        (true, _) => "the log-in is taken".to_owned(),
        (false, []) => "no log-in is offered".to_owned(),
        (false, offered) => format!("log-in is offered ({}) and none is configured", offered.join(", ")),
    };
    let seen = format!("{server} answers {tls}; {logged}");
    let this_machine =
        config.smtp.as_ref().is_some_and(|smtp| smtp.host == "localhost" || smtp.host.starts_with("127."));
    let mut checks = vec![if *encrypted || this_machine {
        Check::ok("mail", seen)
    } else {
        Check::warn("mail", seen, "use smtp+starttls:// or smtps://: messages name people and files")
    }];
    let certificates = [
        ("certificate", certificate_until, "have the mail server's certificate renewed"),
        ("trusted certificates", trusted_until, "put the authority's new certificate into smtp_ca_file"),
    ];
    for (name, until, advice) in certificates {
        let Some(until) = *until else { continue };
        let days = until.since(now).div_euclid(DAY_MS);
        let seen = format!("ends on {}, in {days} days", &until.iso()[..10]);
        checks.push(match days {
            ..0 => Check::fail(name, format!("ended on {}", &until.iso()[..10]), advice),
            0..CERTIFICATE_DAYS_MIN => Check::warn(name, seen, advice),
            _ => Check::ok(name, seen),
        });
    }
    checks
}

fn test_mail(config: &Config, to: &str, now: Timestamp) -> Mail {
    let id = format!("doctor-{}", Uuid::new_v4());
    let text = "Somebody ran `nightbell doctor --send-test` to see whether mails arrive. This one did.\n";
    Mail {
        message_id: format!("<{id}@nightbell.localhost>"),
        id,
        date: now,
        from: config.mail_from.clone(),
        to: to.to_owned(),
        subject: "Nightbell: test of the mail server".to_owned(),
        text: text.to_owned(),
        html: None,
        inline: Vec::new(),
        attachments: Vec::new(),
        headers: Vec::new(),
    }
}
