"""Services that are asked by method and path: a call is signed in a header and has no query, and errors are told in a header."""

import json
import urllib.error
import urllib.request

import pytest
from support import aws
from support.aws import refused, send, sign

FUNCTIONS = "/2015-03-31/functions/"


def test_clients_ask_by_path(server):
    answer = aws.client(server, "lambda").list_functions()
    assert isinstance(answer["Functions"], list)
    assert answer["ResponseMetadata"]["RequestId"]
    assert aws.client(server, "lambda").list_functions(MaxItems=10, FunctionVersion="ALL")["Functions"] is not None
    assert "Functions" in aws.cli(server, "lambda", "list-functions")


def test_what_is_not_served_is_said_in_the_header_that_clients_read(server):
    with refused("UnknownOperationException", "No operation is served", status=404):
        aws.client(server, "lambda").list_layers()
    headers = sign(server, "lambda", b"", {}, "/2015-03-31/functions/", method="DELETE")
    status, headers, body = send(server, b"", headers, FUNCTIONS, "DELETE")
    assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["Type"] == "User"


def test_a_wrong_signature_is_told_in_the_same_form(server):
    with refused("InvalidSignatureException", status=403):
        aws.client(server, "lambda", secret="wrong").list_functions()
    with refused("UnrecognizedClientException", status=403):
        aws.client(server, "lambda", key="AKIAUNKNOWN000000000").list_functions()


def test_a_signature_holds_for_one_path_only(server):
    headers = sign(server, "lambda", b"", {}, FUNCTIONS, method="GET")
    assert send(server, b"", headers, FUNCTIONS, "GET")[0] == 200
    for path in ("/2015-03-31/functions", "/2015-03-31/functions/x", "/2015-03-31/functions/?MaxItems=1"):
        assert send(server, b"", headers, path, "GET")[0] == 403, path
    # The same to a signature, but no path of an operation.
    assert send(server, b"", headers, "/x/../2015-03-31/functions/", "GET")[0] == 404


@pytest.mark.parametrize("authorization", [None, "Basic dXNlcjpwYXNzd29yZA=="])
def test_who_does_not_sign_finds_nothing(server, authorization):
    request = urllib.request.Request(server.url + FUNCTIONS)
    if authorization:
        request.add_header("Authorization", authorization)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert (caught.value.code, caught.value.read()) == (404, b"there is nothing here\n")


def test_a_proxys_password_does_not_hide_health(server):
    request = urllib.request.Request(server.url + "/healthz", headers={"Authorization": "Basic dXNlcjpwYXNz"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.read() == b"ok\n"
