"""Attributes of subscriptions, filter policies, message attributes, batches, permissions: SNS through real clients."""

import json
import urllib.error
import urllib.request

import pytest
from support import aws
from support.aws import refused, unique

SILENCE_SECONDS = 2


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name=unique("t"))["TopicArn"]


def subscribed(sns, mailbox, topic, protocol="email", **attributes):
    """A confirmed mail subscription: its address and ARN."""
    address = f"{unique('reader')}@example.org"
    arn = sns.subscribe(
        TopicArn=topic, Protocol=protocol, Endpoint=address, Attributes=attributes, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    [mail] = mailbox.wait(address)
    token = mail.link("ConfirmSubscription").split("Token=")[1]
    assert sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"] == arn
    return address, arn


class TestAttributes:
    def test_what_clients_read(self, sns, mailbox, topic):
        address = f"{unique('reader')}@example.org"
        arn = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address, ReturnSubscriptionArn=True)
        arn = arn["SubscriptionArn"]
        assert arn.startswith(topic + ":")
        shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        assert shown == {
            "SubscriptionArn": arn,
            "TopicArn": topic,
            "Owner": "123456789012",
            "Protocol": "email",
            "Endpoint": address,
            "ConfirmationWasAuthenticated": "false",
            "PendingConfirmation": "true",
            "RawMessageDelivery": "false",
            "SubscriptionPrincipal": "arn:aws:iam::123456789012:root",
        }
        token = mailbox.wait(address)[0].link("ConfirmSubscription").split("Token=")[1]
        sns.confirm_subscription(TopicArn=topic, Token=token)
        shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        assert (shown["PendingConfirmation"], shown["ConfirmationWasAuthenticated"]) == ("false", "true")
        sns.unsubscribe(SubscriptionArn=arn)
        with refused("NotFound", "Subscription does not exist", status=404):
            sns.get_subscription_attributes(SubscriptionArn=arn)
        with refused("NotFound", status=404):
            sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}")

    def test_by_the_command_line(self, server, sns, topic):
        policy = json.dumps({"state": ["ALARM"]})
        arn = aws.cli(
            server, "sns", "subscribe", "--topic-arn", topic, "--protocol", "email-json", "--return-subscription-arn",
            "--notification-endpoint", f"{unique('r')}@example.org", "--attributes", json.dumps({"FilterPolicy": policy}),
        )["SubscriptionArn"]  # fmt: skip
        shown = aws.cli(server, "sns", "get-subscription-attributes", "--subscription-arn", arn)["Attributes"]
        assert shown["Protocol"] == "email-json"
        assert (shown["FilterPolicy"], shown["FilterPolicyScope"]) == (policy, "MessageAttributes")
        command = ["sns", "set-subscription-attributes", "--subscription-arn", arn]
        aws.cli(server, *command, "--attribute-name", "FilterPolicyScope", "--attribute-value", "MessageBody")
        aws.cli(server, *command, "--attribute-name", "FilterPolicy", "--attribute-value", "{}")
        shown = aws.cli(server, "sns", "get-subscription-attributes", "--subscription-arn", arn)["Attributes"]
        assert "FilterPolicy" not in shown and "FilterPolicyScope" not in shown

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("Colour", "red", "AttributeName"),
            ("FilterPolicy", "{", "FilterPolicy: failed to parse JSON."),
            ("FilterPolicy", '{"a":{"b":["c"]}}', "does not support nested filter policy"),
            ("FilterPolicyScope", "Both", "FilterPolicyScope: Invalid value [Both]"),
            ("RawMessageDelivery", "true", "Delivery protocol [email] does not support raw message delivery."),
            ("DeliveryPolicy", "{}", "Delivery protocol [email] does not support a delivery policy."),
            ("RedrivePolicy", "{}", "deadLetterTargetArn must be specified"),
        ],
    )
    def test_wrong_attributes(self, sns, topic, name, value, text):
        arn = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org", ReturnSubscriptionArn=True)
        arn = arn["SubscriptionArn"]
        before = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        with refused("InvalidParameter", text):
            sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        with refused("InvalidParameter"):
            attributes = {name: value}
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="b@example.org", Attributes=attributes)
        assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"] == before
        assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1

    def test_the_same_endpoint_with_other_attributes(self, sns, mailbox, topic):
        policy = {"FilterPolicy": json.dumps({"a": ["b"]})}
        address, arn = subscribed(sns, mailbox, topic, **policy)
        for attributes in ({}, policy):
            answer = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address, Attributes=attributes)
            assert answer["SubscriptionArn"] == arn
        with refused("InvalidParameter", "Subscription already exists with different attributes"):
            other = {"FilterPolicy": json.dumps({"a": ["c"]})}
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address, Attributes=other)

    @pytest.mark.parametrize("protocol", ["sqs", "sms", "application", "firehose", "lambda"])
    def test_what_is_not_served_is_refused_in_words(self, sns, topic, protocol):
        arn = "arn:aws:lambda:us-east-2:123456789012:function:f"
        with refused("InvalidParameter", "not served by this version"):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=arn)

    def test_only_signed_requests_end_a_subscription_that_keeps_strangers_out(self, server, sns, mailbox, topic):
        address = f"{unique('reader')}@example.org"
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
        link = mailbox.wait(address)[0].link("ConfirmSubscription")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{link}&AuthenticateOnUnsubscribe=true", timeout=10)
        told = caught.value.read().decode()
        assert caught.value.code == 403 and "<Code>AuthorizationError</Code>" in told
        assert "To disallow anonymous unsubscription, subscriber and confirmer IDs must match" in told
        token = link.split("Token=")[1]
        arn = sns.confirm_subscription(TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
        request = urllib.request.Request(f"{server.url}/?Action=Unsubscribe&SubscriptionArn={arn}", data=b"")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.code == 403
        assert "This subscription may only be deleted by an authorized user." in caught.value.read().decode()
        sns.unsubscribe(SubscriptionArn=arn)
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


class TestFilters:
    def test_by_attributes_and_by_body(self, sns, mailbox, topic):
        state = {"FilterPolicy": json.dumps({"state": ["ALARM"]})}
        body = {"FilterPolicy": json.dumps({"NewStateValue": ["ALARM"]}), "FilterPolicyScope": "MessageBody"}
        by_attribute, _ = subscribed(sns, mailbox, topic, **state)
        by_body, _ = subscribed(sns, mailbox, topic, **body)
        everything, arn = subscribed(sns, mailbox, topic)

        def said(value):
            return {"state": {"DataType": "String", "StringValue": value}}

        sns.publish(TopicArn=topic, Message="L01", MessageAttributes=said("ALARM"))
        sns.publish(TopicArn=topic, Message="L02", MessageAttributes=said("alarm"))
        sns.publish(TopicArn=topic, Message="L03")
        sns.publish(TopicArn=topic, Message=json.dumps({"NewStateValue": "ALARM", "id": "L10"}))
        mailbox.wait(everything, 5)
        for address, expected in [(by_attribute, "L01"), (by_body, "L10")]:
            [_, mail] = mailbox.wait(address, 2)
            assert expected in mail.text
            mailbox.stays(address, 2, SILENCE_SECONDS)

    def test_email_json_carries_the_notification(self, sns, mailbox, topic):
        address, _ = subscribed(sns, mailbox, topic, protocol="email-json")
        attributes = {
            "n": {"DataType": "Number", "StringValue": "3.5"},
            "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01\x02"},
        }
        sent = sns.publish(TopicArn=topic, Message="über\nzwei", Subject="s", MessageAttributes=attributes)
        mail = mailbox.wait(address, 2)[1]
        document = json.loads(mail.text)
        assert mail.subject == "s" and document["Message"] == "über\nzwei" and document["Subject"] == "s"
        assert document["MessageId"] == sent["MessageId"]
        assert document["MessageAttributes"] == {
            "n": {"Type": "Number", "Value": "3.5"},
            "b": {"Type": "Binary", "Value": "AAEC"},
        }


class TestBatches:
    def test_each_entry_has_its_own_result(self, sns, mailbox, topic):
        address, _ = subscribed(sns, mailbox, topic)
        answer = sns.publish_batch(
            TopicArn=topic,
            PublishBatchRequestEntries=[
                {"Id": "one", "Message": "first", "Subject": "first"},
                {"Id": "two", "Message": ""},
                {"Id": "three", "Message": "m", "MessageAttributes": {"a": {"DataType": "Text", "StringValue": "x"}}},
                {"Id": "four", "Message": '{"default":"last"}', "MessageStructure": "json", "Subject": "last"},
            ],
        )
        assert [(e["Id"], len(e["MessageId"])) for e in answer["Successful"]] == [("one", 36), ("four", 36)]
        failed = [(e["Id"], e["Code"], e["SenderFault"]) for e in answer["Failed"]]
        assert failed == [("two", "InvalidParameter", True), ("three", "ParameterValueInvalid", True)]
        mails = mailbox.wait(address, 3)[1:]
        assert sorted(mail.subject for mail in mails) == ["first", "last"]

    @pytest.mark.parametrize(
        ("entries", "code"),
        [
            ([], "EmptyBatchRequest"),
            ([{"Id": str(n), "Message": "m"} for n in range(11)], "TooManyEntriesInBatchRequest"),
            ([{"Id": "a", "Message": "m"}, {"Id": "a", "Message": "m"}], "BatchEntryIdsNotDistinct"),
            ([{"Id": "a b", "Message": "m"}], "InvalidBatchEntryId"),
            ([{"Id": str(n), "Message": "m" * 60_000} for n in range(5)], "BatchRequestTooLong"),
        ],
        ids=["none", "eleven", "twice", "name", "long"],
    )
    def test_batches_that_are_refused_as_a_whole(self, sns, topic, entries, code):
        with refused(code):
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)

    def test_targets(self, sns, mailbox, topic):
        address, _ = subscribed(sns, mailbox, topic)
        sns.publish(TargetArn=topic, Message="by target")
        assert "by target" in mailbox.wait(address, 2)[1].text
        with refused("InvalidParameter", "TopicArn or TargetArn"):
            sns.publish(Message="m")
        with refused("InvalidParameter", "PhoneNumber"):
            sns.publish(PhoneNumber="+15550100", Message="m")
        with refused("InvalidParameter", "exceed the limit of 262144"):
            attribute = {"a": {"DataType": "String", "StringValue": "x" * 20}}
            sns.publish(TopicArn=topic, Message="m" * 262_130, MessageAttributes=attribute)


class TestPermissions:
    def policy(self, sns, topic):
        return json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])

    def test_statements_come_and_go(self, sns, topic):
        sns.add_permission(
            TopicArn=topic, Label="ops", AWSAccountId=["111122223333"], ActionName=["Publish", "Subscribe"]
        )
        [default, added] = self.policy(sns, topic)["Statement"]
        assert default["Sid"] == "__default_statement_ID"
        assert added == {
            "Sid": "ops",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": ["SNS:Publish", "SNS:Subscribe"],
            "Resource": topic,
        }
        with refused("InvalidParameter", "Statement already exists"):
            sns.add_permission(TopicArn=topic, Label="ops", AWSAccountId=["111122223333"], ActionName=["Publish"])
        sns.remove_permission(TopicArn=topic, Label="ops")
        assert self.policy(sns, topic)["Statement"] == [default]
        with refused("InvalidParameter", "no statement ops"):
            sns.remove_permission(TopicArn=topic, Label="ops")
        with refused("InvalidParameter", "out of service scope"):
            sns.add_permission(TopicArn=topic, Label="x", AWSAccountId=["111122223333"], ActionName=["Drop"])
        with refused("InvalidParameter", "AWSAccountId"):
            sns.add_permission(TopicArn=topic, Label="x", AWSAccountId=["me"], ActionName=["Publish"])

    def test_a_policy_must_be_one(self, sns, topic):
        def put(policy):
            sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)

        before = self.policy(sns, topic)
        for bad in ("", "{", "[]", '{"Statement":[{"Effect":"Maybe"}]}'):
            with refused("InvalidParameter", "Policy Reason"):
                put(bad)
        assert self.policy(sns, topic) == before
        alarms = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "SNS:Publish",
                    "Resource": topic,
                    "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
                }
            ],
        }
        put(json.dumps(alarms))
        assert self.policy(sns, topic) == alarms
