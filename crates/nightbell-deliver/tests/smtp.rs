/*!
Conversations with a real mail server, aiosmtpd (`smtp_server.py`).

The Python that has it is `NIGHTBELL_PYTHON`, or `.venv/bin/python` at the workspace's root; without one these tests say
that they are skipped.
*/
// Helpers of tests may do what tests may.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Endpoint;
use nightbell_deliver::{Channel, Enclosure, Origin, Receipt, SendError, Smtp, SmtpConfig, render};

const PASSWORD: &str = "correct-horse-7";
const NOW: Timestamp = Timestamp::from_seconds(1_789_364_521);

/// The server's process, and what it says.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    /// Starts one; `None` where there is no Python with aiosmtpd.
    fn start(arguments: &[&str]) -> Option<Self> {
        let python = python()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python was found");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut server = Self { child, lines, port: 0 };
        let ready = server.next();
        assert_eq!(ready["event"], "ready", "{ready}");
        server.port = ready["port"].as_u64().unwrap() as u16;
        Some(server)
    }

    /// The next thing it says.
    fn next(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the mail server ended: {line:?}"))
    }

    /// Stops it and returns everything it had still to say.
    fn stop(mut self) -> Vec<serde_json::Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut said = Vec::new();
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            said.push(serde_json::from_str(&line).unwrap());
            line.clear();
        }
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> Option<PathBuf> {
    let python = match std::env::var_os("NIGHTBELL_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python"),
    };
    let found = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    println!("skipped: {} has no aiosmtpd; NIGHTBELL_PYTHON names another Python", python.display());
    None
}

fn channel(url: &str, timeout: Duration) -> Channel {
    let mut config = SmtpConfig::parse(url, None, None).unwrap();
    config.trusted_pem = Some(include_bytes!("tls/authority.pem").to_vec());
    config.timeout = timeout;
    Channel::Smtp(Smtp::new(config).unwrap())
}

fn plain(server: &Server) -> Channel {
    channel(&format!("smtp://127.0.0.1:{}", server.port), Duration::from_secs(30))
}

fn delivery(id: &str, to: &str) -> Delivery {
    Delivery {
        id: id.to_owned(),
        created: NOW,
        topic: "arn:aws:sns:eu-central-1:123456789012:security".to_owned(),
        endpoint: Endpoint::Email(to.to_owned()),
        unsubscribe_url: Some("https://bell.example.org/unsubscribe?arn=x".to_owned()),
        content: Content::Published {
            subject: Some("Häufung".to_owned()),
            message: "Grüße\n.\n..dots".to_owned(),
            attributes: std::collections::BTreeMap::new(),
        },
    }
}

async fn send(channel: &Channel, to: &str) -> Result<Receipt, SendError> {
    let origin = Origin::new("Nightbell <nightbell@example.org>", None).unwrap();
    channel.send(&render(&delivery("d1", to), &origin, Enclosure::default(), NOW), NOW).await
}

fn connections(said: &[serde_json::Value]) -> usize {
    said.iter().filter(|event| event["event"] == "connect").count()
}

fn mails(said: &[serde_json::Value]) -> Vec<&serde_json::Value> {
    said.iter().filter(|event| event["event"] == "mail").collect()
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let Some(server) = Server::start(&[]) else { return };
    let channel = plain(&server);
    let receipt = send(&channel, "ann@example.org").await.unwrap();
    assert_eq!(receipt.detail, "250 2.0.0 taken");
    let said = server.stop();
    let mail = mails(&said)[0];
    assert_eq!(mail["sender"], "nightbell@example.org");
    assert_eq!(mail["recipients"], serde_json::json!(["ann@example.org"]));
    let content = mail["content"].as_str().unwrap();
    for part in [
        "Message-ID: <d1@nightbell.example.org>\r\n",
        "Date: Mon, 14 Sep 2026 05:42:01 +0000\r\n",
        "Subject: =?utf-8?b?",
        "List-Unsubscribe: <https://bell.example.org/unsubscribe?arn=x>\r\n",
        "Gr=C3=BC=C3=9Fe\r\n.\r\n..dots",
    ] {
        assert!(content.contains(part), "{part:?} is not in\n{content}");
    }
}

#[tokio::test]
async fn answers_say_whether_to_try_again() {
    let Some(server) = Server::start(&[]) else { return };
    let channel = plain(&server);
    let rows = [
        ("greylisted@example.org", true, "451 4.7.1 come back later"),
        ("later@example.org", true, "451 4.3.0 disk is busy"),
        ("login@example.org", true, "530 5.7.0 authentication required"),
        ("unknown@example.org", false, "550 5.1.1 no such user here"),
        ("never@example.org", false, "554 5.7.1 not wanted"),
        ("ünknown@example.org", false, "ASCII addresses only"),
        ("not an address", false, "no mail address"),
        ("a@example.org\r\nRCPT TO:<b@example.org>", false, "no mail address"),
        ("\"a\r\nBcc: b\"@example.org", false, "no mail address"),
    ];
    for (to, again, told) in rows {
        let error = send(&channel, to).await.unwrap_err();
        assert!(error.to_string().contains(told), "{to}: {error}");
        assert_eq!(matches!(error, SendError::Later { .. }), again, "{to}: {error}");
    }
    send(&channel, "ann@example.org").await.expect("a refused mail does not spoil the next");
    assert_eq!(mails(&server.stop()).len(), 1);
}

#[tokio::test]
async fn the_connection_is_kept_open() {
    let Some(server) = Server::start(&[]) else { return };
    let channel = plain(&server);
    for _ in 0..5 {
        send(&channel, "ann@example.org").await.unwrap();
    }
    let said = server.stop();
    assert_eq!((connections(&said), mails(&said).len()), (1, 5));
}

#[tokio::test]
async fn a_connection_that_died_is_replaced() {
    let Some(server) = Server::start(&[]) else { return };
    let channel = plain(&server);
    send(&channel, "ann@example.org").await.unwrap();
    let port = server.port.to_string();
    server.stop();
    let server = Server::start(&["--port", &port]).unwrap();
    send(&channel, "ann@example.org")
        .await
        .expect("the dead connection was noticed before the mail was given to it");
    assert_eq!(mails(&server.stop()).len(), 1);
}

#[tokio::test]
async fn no_server_and_no_answer_are_worth_another_try() {
    let Some(server) = Server::start(&[]) else { return };
    let impatient = channel(&format!("smtp://127.0.0.1:{}", server.port), Duration::from_secs(5));
    let error = send(&impatient, "hang@example.org").await.unwrap_err();
    assert!(matches!(&error, SendError::Later { reason, .. } if reason.contains("in time")), "{error}");
    send(&impatient, "ann@example.org").await.expect("the interrupted connection is not used again");
    let patient = plain(&server);
    server.stop();
    let error = send(&patient, "ann@example.org").await.unwrap_err();
    assert!(matches!(&error, SendError::Later { reason, .. } if reason.contains("no connection")), "{error}");
}

fn tls_arguments() -> [String; 7] {
    let file = |name: &str| format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    ["--tls", &file("server.pem"), &file("server.key"), "--user", "ann", "--password", PASSWORD]
        .map(str::to_owned)
}

#[tokio::test]
async fn logs_in_over_tls() {
    for (scheme, extra) in [("smtp+starttls", None), ("smtps", Some("--implicit-tls"))] {
        let arguments = tls_arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(extra).collect();
        let Some(server) = Server::start(&arguments) else { return };
        let url = format!("{scheme}://ann:{PASSWORD}@localhost:{}", server.port);
        let channel = channel(&url, Duration::from_secs(30));
        for _ in 0..2 {
            send(&channel, "ann@example.org").await.unwrap();
        }
        let said = server.stop();
        assert_eq!(connections(&said), 1, "{scheme}");
        for mail in mails(&said) {
            assert_eq!((&mail["encrypted"], &mail["user"]), (&true.into(), &"ann".into()), "{scheme}");
        }
    }
}

#[tokio::test]
async fn a_server_nobody_vouches_for_gets_nothing() {
    let arguments = tls_arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(mut server) = Server::start(&arguments) else { return };
    let mut config =
        SmtpConfig::parse(&format!("smtp+starttls://ann:{PASSWORD}@localhost:{}", server.port), None, None)
            .unwrap();
    config.trusted_pem = None;
    let error = send(&Channel::Smtp(Smtp::new(config).unwrap()), "ann@example.org").await.unwrap_err();
    assert!(matches!(error, SendError::Later { .. }), "{error}");
    assert_eq!(server.next()["event"], "connect");
    assert!(server.stop().is_empty(), "no mail was given away");
}

/// A server without STARTTLS must not be spoken to in the clear instead.
#[tokio::test]
async fn starttls_is_never_left_out() {
    let Some(server) = Server::start(&[]) else { return };
    let channel = channel(&format!("smtp+starttls://localhost:{}", server.port), Duration::from_secs(30));
    let error = send(&channel, "ann@example.org").await.unwrap_err();
    assert!(error.to_string().contains("STARTTLS"), "{error}");
    assert!(mails(&server.stop()).is_empty());
}

#[tokio::test]
async fn no_error_tells_the_secret() {
    let arguments = tls_arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(server) = Server::start(&arguments) else { return };
    let wrong = "hunter2-hunter2";
    let mut texts = Vec::new();
    for scheme in ["smtp+starttls", "smtps", "smtp"] {
        let channel =
            channel(&format!("{scheme}://ann:{wrong}@localhost:{}", server.port), Duration::from_secs(30));
        let error = send(&channel, "ann@example.org").await.unwrap_err();
        texts.push(format!("{error} {error:?} {channel:?}"));
        if scheme == "smtp+starttls" {
            assert!(error.to_string().contains("refused the log-in: 535"), "{error}");
            let waits = matches!(error, SendError::Later { not_before: Some(time), .. } if time > NOW);
            assert!(waits, "an account is not locked out by trying at once");
        }
    }
    let said = server.stop();
    assert!(mails(&said).is_empty());
    for text in texts {
        for secret in [wrong, "aHVudGVyMi1odW50ZXIy", "AGFubgBodW50ZXIyLWh1bnRlcjI="] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
