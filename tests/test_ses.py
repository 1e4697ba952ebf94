"""SES: who may send, and what arrives. Real clients of both versions, a real SMTP server, and the vectors M01 to M08."""

import email
import email.policy
import html
import json
import time
import urllib.error
import urllib.request
from email.message import EmailMessage

import pytest
from support import aws
from support.aws import refused, unique

VOUCHED = "vouched.example.com"
LARGE_BYTES = 9_500_000


def address(name="reader"):
    return f"{unique(name)}@example.org"


def followed(url, method="GET", accept="text/html"):
    request = urllib.request.Request(url, method=method, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def mailing(tmp_path_factory, mailbox):
    """A program whose operator vouches for a domain."""
    from support.server import Server

    folder = tmp_path_factory.mktemp("ses")
    instance = Server(folder, "--ses-verified", f"{VOUCHED},one@example.net", smtp=mailbox.url).start()
    yield instance
    assert instance.stop() == 0, instance.tail()


@pytest.fixture
def ses(mailing):
    return aws.client(mailing, "ses")


@pytest.fixture
def sesv2(mailing):
    return aws.client(mailing, "sesv2")


@pytest.fixture
def source(ses, mailbox):
    """An address whose owner said yes."""
    name = address("sender")
    ses.verify_email_identity(EmailAddress=name)
    [mail] = mailbox.wait(name)
    assert followed(mail.link("ConfirmVerification"), "POST")[0] == 200
    return name


def message(subject="s", text=None, html=None):
    body = {kind: {"Data": data, "Charset": "UTF-8"} for kind, data in (("Text", text), ("Html", html)) if data}
    return {"Subject": {"Data": subject, "Charset": "UTF-8"}, "Body": body}


def whole(sender, to, bcc=None, **headers):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, "whole"
    if bcc:
        made["Bcc"] = bcc
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("the text")
    return made.as_bytes()


class TestIdentities:
    def test_an_address_is_verified_by_the_link_of_its_mail(self, ses, mailbox, mailing):
        name = address("owner")
        ses.verify_email_identity(EmailAddress=name)
        status = lambda: ses.get_identity_verification_attributes(Identities=[name])["VerificationAttributes"]  # noqa: E731
        assert status() == {name: {"VerificationStatus": "Pending"}}
        [mail] = mailbox.wait(name)
        assert mail.subject == "Nightbell - Email Address Verification" and name in mail.text and name in mail.html
        link = mail.link("ConfirmVerification")
        assert link.startswith(mailing.url) and link in html.unescape(mail.html)
        for accept in ("text/html", "*/*"):
            code, page = followed(link, accept=accept)
            assert code == 200 and "<button>Verify</button>" in page, "a scanner that follows links confirms nothing"
        assert status()[name]["VerificationStatus"] == "Pending"
        code, page = followed(link, "POST")
        assert code == 200 and "Address verified" in page
        assert followed(link, "POST")[0] == 200, "repeatable"
        assert status()[name]["VerificationStatus"] == "Success"
        assert name in ses.list_verified_email_addresses()["VerifiedEmailAddresses"]
        code, page = followed(link[:-4] + "0000", "POST")
        assert code == 400 and "does not work any more" in page
        ses.delete_identity(Identity=name)
        assert status() == {}
        assert followed(link, "POST")[0] == 400, "a link of what is gone is dead"

    def test_asking_again_sends_the_same_link(self, ses, mailbox):
        name = address("owner")
        for _ in range(2):
            ses.verify_email_identity(EmailAddress=name)
        mails = mailbox.wait(name, 2)
        assert len({mail.link("ConfirmVerification") for mail in mails}) == 1
        assert len({mail.message_id for mail in mails}) == 2

    def test_domains_wait_for_the_operator(self, ses):
        name = f"{unique('d')}.example.org"
        token = ses.verify_domain_identity(Domain=name.upper())["VerificationToken"]
        assert token and ses.verify_domain_identity(Domain=name)["VerificationToken"] == token
        shown = ses.get_identity_verification_attributes(Identities=[name, f"sub.{VOUCHED}", VOUCHED])
        assert shown["VerificationAttributes"] == {
            name: {"VerificationStatus": "Pending", "VerificationToken": token},
            VOUCHED: {"VerificationStatus": "Success"},
        }
        tokens = ses.verify_domain_dkim(Domain=name)["DkimTokens"]
        assert len(set(tokens)) == 3
        dkim = ses.get_identity_dkim_attributes(Identities=[name])["DkimAttributes"][name]
        assert dkim == {"DkimEnabled": False, "DkimVerificationStatus": "NotStarted", "DkimTokens": tokens}
        told = ses.get_identity_notification_attributes(Identities=[name])["NotificationAttributes"][name]
        assert told["ForwardingEnabled"] is False
        assert name in ses.get_identity_mail_from_domain_attributes(Identities=[name])["MailFromDomainAttributes"]
        sub = f"sub.{VOUCHED}"
        ses.verify_domain_identity(Domain=sub)
        shown = ses.get_identity_verification_attributes(Identities=[sub])["VerificationAttributes"]
        assert shown[sub]["VerificationStatus"] == "Success", "the operator vouches for what is below, too"

    def test_lists_are_paged_and_told_apart(self, ses):
        names = sorted(f"{unique('list')}.example.org" for _ in range(3))
        for name in names:
            ses.verify_domain_identity(Domain=name)
        found, token = [], {}
        while True:
            page = ses.list_identities(IdentityType="Domain", MaxItems=2, **token)
            assert len(page["Identities"]) <= 2
            found += page["Identities"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert set(names) <= set(found) and found == sorted(found) and VOUCHED in found
        assert not set(names) & set(ses.list_identities(IdentityType="EmailAddress")["Identities"])
        with refused("InvalidParameterValue", "IdentityType"):
            ses.list_identities(IdentityType="Shoe")

    def test_names_that_are_none_are_refused(self, ses):
        for name in ("nobody", "a@b@c", "a b@c", "jürgen@example.org"):
            with refused("InvalidParameterValue"):
                ses.verify_email_identity(EmailAddress=name)
        with refused("InvalidParameterValue"):
            ses.verify_domain_identity(Domain="a@b")
        with refused("ValidationError", "emailAddress"):
            ses.verify_email_identity()

    def test_version_2_has_the_same_identities(self, ses, sesv2, mailbox, mailing):
        name = address("owner")
        made = sesv2.create_email_identity(EmailIdentity=name, Tags=[{"Key": "job", "Value": "files"}])
        assert (made["IdentityType"], made["VerifiedForSendingStatus"]) == ("EMAIL_ADDRESS", False)
        with refused("AlreadyExistsException"):
            sesv2.create_email_identity(EmailIdentity=name)
        [mail] = mailbox.wait(name)
        assert followed(mail.link("ConfirmVerification"), "POST")[0] == 200
        shown = sesv2.get_email_identity(EmailIdentity=name)
        assert (shown["VerifiedForSendingStatus"], shown["VerificationStatus"]) == (True, "SUCCESS")
        arn = f"arn:aws:ses:{ses.meta.region_name}:123456789012:identity/{name}"
        sesv2.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
        sesv2.untag_resource(ResourceArn=arn, TagKeys=["job"])
        assert sesv2.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
        listed = {one["IdentityName"]: one for one in sesv2.list_email_identities()["EmailIdentities"]}
        assert listed[name]["SendingEnabled"] is True and listed[VOUCHED]["IdentityType"] == "DOMAIN"
        assert name in ses.list_identities()["Identities"]
        sesv2.delete_email_identity(EmailIdentity=name)
        with refused("NotFoundException", status=404):
            sesv2.get_email_identity(EmailIdentity=name)
        with refused("BadRequestException", "ses_verified"):
            sesv2.delete_email_identity(EmailIdentity=VOUCHED)
        assert sesv2.get_account()["ProductionAccessEnabled"] is True


class TestSending:
    def test_html_with_a_subject(self, ses, source, mailbox):
        """M01, M07"""
        to = address()
        answer = ses.send_email(
            Source=source,
            Destination={"ToAddresses": [to]},
            Message=message("Häufung", html="<p>Häufung</p>"),
        )
        [mail] = mailbox.wait(to)
        assert mail.message.get_content_type() == "text/html", "M01"
        assert mail.message.get_content_charset() == "utf-8", "M01"
        assert mail.html.strip() == "<p>Häufung</p>" and mail.subject == "Häufung", "M01, M07"
        assert b"Subject: =?utf-8?" in mail.raw and mail.raw.isascii(), "M07"
        assert mail.message_id.startswith(f"<{answer['MessageId']}@")
        assert (mail.sender, mail.recipients) == (source, [to])

    def test_who_is_not_verified_sends_nothing(self, ses, sesv2, source):
        """M02"""
        stranger = address("stranger")
        told = f"failed the check in region {ses.meta.region_name.upper()}: {stranger}"
        with refused("MessageRejected", f"Email address is not verified. The following identities {told}"):
            ses.send_email(Source=stranger, Destination={"ToAddresses": [source]}, Message=message(text="t"))
        with refused("MessageRejected", stranger):
            ses.send_raw_email(Source=source, RawMessage={"Data": whole(stranger, source)})
        with refused("MessageRejected", stranger):
            ses.send_email(
                Source=source, ReturnPath=stranger, Destination={"ToAddresses": [source]}, Message=message(text="t")
            )
        with refused("MessageRejected", stranger):
            sesv2.send_email(
                FromEmailAddress=f"Somebody <{stranger}>",
                Destination={"ToAddresses": [source]},
                Content={"Simple": message(text="t")},
            )

    def test_text_goes_before_html(self, ses, source, mailbox):
        """M03"""
        to, copy, hidden = address(), address("cc"), address("bcc")
        ses.send_email(
            Source=f"Wache Süd <{source}>".encode("ascii", "ignore").decode(),
            Destination={"ToAddresses": [f"Ann <{to}>"], "CcAddresses": [copy], "BccAddresses": [hidden]},
            Message=message(text="plain ü", html="<b>b</b>"),
            ReplyToAddresses=["desk@example.org"],
            ReturnPath=f"bounce@{VOUCHED}",
        )
        [mail] = mailbox.wait(to)
        kinds = [part.get_content_type() for part in mail.message.walk()]
        assert kinds == ["multipart/alternative", "text/plain", "text/html"], "M03"
        assert mail.text.strip() == "plain ü"
        assert set(mail.recipients) == {to, copy, hidden} and hidden.encode() not in mail.raw
        assert mail.sender == f"bounce@{VOUCHED}" and mail.message["Reply-To"] == "desk@example.org"
        assert len(mailbox.mails(hidden)) == 1, "one mail for all"

    def test_recipients_have_a_number(self, ses, sesv2, source):
        """M04, M05"""
        many = [f"r{n}@example.org" for n in range(51)]
        for to, text in ((many, "Recipient count exceeds 50."), ([], "At least one recipient")):
            with refused("InvalidParameterValue", text):
                ses.send_email(Source=source, Destination={"ToAddresses": to}, Message=message(text="t"))
            with refused("BadRequestException", text):
                sesv2.send_email(
                    FromEmailAddress=source, Destination={"ToAddresses": to}, Content={"Simple": message(text="t")}
                )

    def test_hidden_copies_stay_hidden(self, ses, source, mailbox):
        """M06"""
        to, hidden = address(), address("hidden")
        raw = whole(source, to, bcc=hidden, Message_ID="<theirs@example.org>", X_Case="7")
        answer = ses.send_raw_email(RawMessage={"Data": raw})
        [mail] = mailbox.wait(hidden)
        assert set(mail.recipients) == {to, hidden}
        assert mail.message["Bcc"] is None and hidden.encode() not in mail.raw
        assert mail.message_id.startswith(f"<{answer['MessageId']}@") and mail.message["X-Case"] == "7"
        assert mail.text.strip() == "the text" and b"theirs" not in mail.raw
        only = address("only")
        ses.send_raw_email(Source=source, Destinations=[only], RawMessage={"Data": raw})
        assert mailbox.wait(only)[0].recipients == [only], "the request goes before the headers"

    def test_a_subject_starts_no_header(self, ses, source, mailbox):
        """M08"""
        to = address()
        ses.send_email(
            Source=source,
            Destination={"ToAddresses": [to]},
            Message=message("one\r\nBcc: everyone@example.org\r\n\r\nbody", text="t"),
        )
        [mail] = mailbox.wait(to)
        assert mail.subject == "one Bcc: everyone@example.org body" and mail.recipients == [to]
        assert mail.message["Bcc"] is None and mail.text.strip() == "t"
        for wrong in (f"{source}\r\nBcc: a@b.c", f"{source}, b@example.org"):
            with refused("InvalidParameterValue"):
                ses.send_email(Source=wrong, Destination={"ToAddresses": [to]}, Message=message(text="t"))

    def test_version_2_sends_simple_and_raw(self, sesv2, mailbox):
        to, sender = address(), f"alarm@sub.{VOUCHED}"
        simple = {**message("two", text="t", html="<b>h</b>"), "Headers": [{"Name": "X-Case", "Value": "8"}]}
        answer = sesv2.send_email(
            FromEmailAddress=f"Alarm <{sender}>", Destination={"ToAddresses": [to]}, Content={"Simple": simple}
        )
        [mail] = mailbox.wait(to)
        assert mail.message_id.startswith(f"<{answer['MessageId']}@") and mail.message["X-Case"] == "8"
        assert mail.message["From"] == f"Alarm <{sender}>"
        sesv2.send_email(Content={"Raw": {"Data": whole(sender, to)}})
        assert mailbox.wait(to, 2)[1].subject == "whole"
        template = {"Template": {"TemplateName": "t", "TemplateData": "{}"}}
        for content, text in ((template, "Content.Template is not served"), ({}, "exactly one of Simple and Raw")):
            with refused("BadRequestException", text):
                sesv2.send_email(FromEmailAddress=sender, Destination={"ToAddresses": [to]}, Content=content)
        with refused("BadRequestException", "send the message as Raw"):
            attached = {**message(text="t"), "Attachments": [{"FileName": "f", "RawContent": b"x"}]}
            sesv2.send_email(
                FromEmailAddress=sender, Destination={"ToAddresses": [to]}, Content={"Simple": attached}
            )
        with refused("NotFoundException", "Configuration set <x> does not exist", status=404):
            sesv2.send_email(
                FromEmailAddress=sender,
                Destination={"ToAddresses": [to]},
                Content={"Simple": message(text="t")},
                ConfigurationSetName="x",
            )

    def test_a_large_mail_and_one_that_is_too_large(self, ses, source, mailbox):
        to = address()
        raw = whole(source, to) + b"\r\n".join([b"x" * 76] * (LARGE_BYTES // 78))
        ses.send_raw_email(RawMessage={"Data": raw})
        [mail] = mailbox.wait(to, seconds=60)
        assert len(mail.raw) > LARGE_BYTES
        with refused("InvalidParameterValue", "Message length is more than 10485760 bytes long"):
            ses.send_raw_email(RawMessage={"Data": raw + b"\r\n" + b"y" * 1_500_000})

    def test_what_is_no_mail_is_refused(self, ses, source):
        for raw, text in (
            (b"To: a@b.c\r\n\r\nx", "Missing required header 'From'"),
            (b"no header at all\r\n\r\nx", "Not a header line"),
            (f"From: {source}\nFrom: {source}\n\nx".encode(), "Duplicate header 'From'"),
        ):
            with refused("InvalidParameterValue", text):
                ses.send_raw_email(Source=source, Destinations=["a@example.org"], RawMessage={"Data": raw})

    def test_what_was_sent_is_counted(self, fresh, mailbox):
        server = fresh("--ses-verified", "example.com", smtp=mailbox.url).start()
        ses = aws.client(server, "ses")
        assert ses.get_account_sending_enabled()["Enabled"] is True
        assert ses.get_send_quota()["SentLast24Hours"] == 0 and ses.get_send_quota()["Max24HourSend"] == -1
        to = [address(), address()]
        ses.send_email(Source="a@example.com", Destination={"ToAddresses": to}, Message=message(text="t"))
        assert ses.get_send_quota()["SentLast24Hours"] == 2
        points = ses.get_send_statistics()["SendDataPoints"]
        assert sum(point["DeliveryAttempts"] for point in points) == 2
        assert aws.client(server, "ses", region="eu-central-1").get_send_quota()["SentLast24Hours"] == 0


class TestWaysOut:
    """The mail server refuses, or is away, or the program is killed."""

    @pytest.fixture
    def own(self, fresh, own_mailbox):
        return fresh("--ses-verified", "example.com", smtp=own_mailbox.url).start()

    def send(self, server, to):
        return aws.client(server, "ses").send_email(
            Source="a@example.com", Destination={"ToAddresses": to}, Message=message(text="t")
        )["MessageId"]

    def test_one_who_is_refused_keeps_no_other_from_getting_it(self, own, own_mailbox):
        own_mailbox.refuse(550, 1, "rcpt")
        to = [address(), address(), address()]
        self.send(own, to)
        [mail] = own_mailbox.wait(to[1])
        assert mail.recipients == to[1:] and own_mailbox.refusals() == to[:1]
        own_mailbox.stays(to[1], 1, 2)
        points = aws.client(own, "ses").get_send_statistics()["SendDataPoints"]
        assert sum(point["Bounces"] for point in points) == 1

    def test_one_who_is_to_wait_gets_it_later_and_nobody_twice(self, own, own_mailbox):
        own_mailbox.refuse(451, 1, "rcpt")
        to = [address(), address()]
        sent = self.send(own, to)
        [mail] = own_mailbox.wait(to[1])
        assert mail.recipients == to[1:]
        [late] = own_mailbox.wait(to[0])
        assert late.recipients == to[:1] and late.message_id == mail.message_id and sent in late.message_id
        assert len(own_mailbox.mails(to[1])) == 1

    def test_what_was_answered_survives_a_kill(self, own, own_mailbox):
        own_mailbox.refuse(451, 1_000, "data")
        to = [address() for _ in range(5)]
        sent = {self.send(own, [one]) for one in to}
        own.kill()
        own_mailbox.refuse(451, 0, "data")
        own.start()
        got = {own_mailbox.wait(one, seconds=30)[0].message_id for one in to}
        assert {one.strip("<").split("@")[0] for one in got} == sent

    def test_without_a_mail_server_a_mail_is_a_file(self, fresh):
        server = fresh("--ses-verified", "example.com").start()
        sent = self.send(server, [address()])
        end = time.monotonic() + 10
        while not (found := list((server.data / "mailbox").glob(f"*{sent}.eml"))):
            assert time.monotonic() < end
            time.sleep(0.05)
        [path] = found
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert mail["Subject"] == "s" and mail.get_content().strip() == "t"


def test_the_command_line_sends(mailing, mailbox):
    to = address()
    answer = aws.cli(
        mailing,
        *("ses", "send-email", "--from", f"cli@{VOUCHED}", "--to", to, "--subject", "from the shell", "--text", "hello"),
    )
    [mail] = mailbox.wait(to)
    assert mail.subject == "from the shell" and mail.message_id.startswith(f"<{answer['MessageId']}@")
    assert VOUCHED in aws.cli(mailing, "ses", "list-identities")["Identities"]
    # It writes the bytes as base64 itself.
    content = json.dumps({"Raw": {"Data": whole(f"cli@{VOUCHED}", to).decode()}})
    aws.cli(mailing, "sesv2", "send-email", "--content", content)
    assert mailbox.wait(to, 2)[1].subject == "whole"
    shown = aws.cli(mailing, "sesv2", "get-email-identity", "--email-identity", VOUCHED)
    assert shown["VerifiedForSendingStatus"] is True


def test_what_is_not_served_says_so(ses, sesv2):
    with refused("InvalidAction", "CreateTemplate of SES is not served"):
        ses.create_template(Template={"TemplateName": "t"})
    with refused("UnknownOperationException", status=404):
        sesv2.list_contact_lists()
