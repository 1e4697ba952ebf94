"""Dashboards kept by name, and the picture of a widget."""

import collections
import datetime
import json
import struct
import zlib

import pytest
from support import aws
from support.server import ACCOUNT, REGION

BODY = json.dumps({"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": "x"}}]})


@pytest.fixture(params=["cbor", "json", "query"])
def monitoring(server, request):
    return aws.client(server, "cloudwatch", request.param)


def test_a_dashboard_is_kept_as_it_was_written(monitoring):
    name = aws.unique("files")
    body = BODY.replace(":", " : ")
    assert monitoring.put_dashboard(DashboardName=name, DashboardBody=body)["DashboardValidationMessages"] == []
    found = monitoring.get_dashboard(DashboardName=name)
    arn = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}"
    assert (found["DashboardBody"], found["DashboardArn"], found["DashboardName"]) == (body, arn, name)
    [entry] = monitoring.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert (entry["DashboardName"], entry["Size"], entry["DashboardArn"]) == (name, len(body), arn)
    assert abs((entry["LastModified"] - datetime.datetime.now(datetime.UTC)).total_seconds()) < 600
    monitoring.put_dashboard(DashboardName=name, DashboardBody=BODY)
    assert monitoring.get_dashboard(DashboardName=name)["DashboardBody"] == BODY
    monitoring.delete_dashboards(DashboardNames=[name])
    with aws.refused(("ResourceNotFound", "DashboardNotFoundError"), status=404):
        monitoring.get_dashboard(DashboardName=name)


def test_dashboards_are_deleted_all_or_none(cloudwatch):
    names = [aws.unique("d") for _ in range(2)]
    for name in names:
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=BODY)
    with aws.refused("ResourceNotFound", status=404):
        cloudwatch.delete_dashboards(DashboardNames=[*names, "never"])
    assert cloudwatch.get_dashboard(DashboardName=names[0])["DashboardBody"] == BODY
    cloudwatch.delete_dashboards(DashboardNames=names)
    assert cloudwatch.list_dashboards(DashboardNamePrefix=names[1])["DashboardEntries"] == []


def test_dashboards_carry_tags(cloudwatch):
    name = aws.unique("tagged")
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody=BODY, Tags=[{"Key": "team", "Value": "files"}])
    arn = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}"
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "files"}]
    cloudwatch.delete_dashboards(DashboardNames=[name])
    with aws.refused("ResourceNotFoundException", status=404):
        cloudwatch.list_tags_for_resource(ResourceARN=arn)


@pytest.mark.parametrize("body", ["x", "[]", "{}", '{"widgets": [{"type": "x", "properties": {}}]}'])
def test_a_body_that_cannot_be_shown_is_refused(monitoring, body):
    codes = ("InvalidParameterInput", "DashboardInvalidInputError")
    with aws.refused(codes, "dashboard body is invalid"):
        monitoring.put_dashboard(DashboardName="refused", DashboardBody=body)
    with aws.refused(codes, "DashboardName"):
        monitoring.put_dashboard(DashboardName="no good", DashboardBody=BODY)


def test_what_is_only_odd_is_told(cloudwatch):
    body = json.dumps({"widgets": [{"type": "metric", "properties": {"title": "empty"}}]})
    told = cloudwatch.put_dashboard(DashboardName=aws.unique("odd"), DashboardBody=body)
    [message] = told["DashboardValidationMessages"]
    assert message["DataPath"] == "/widgets/0/properties" and "metrics" in message["Message"]


# --- the picture of a widget ----------------------------------------------------------------------------------------


@pytest.fixture
def namespace(cloudwatch):
    """Metrics of the last hour: one for each of two shares."""
    name = aws.unique("widget")
    now = datetime.datetime.now(datetime.UTC)
    data = [
        {
            "MetricName": "Denied",
            "Dimensions": [{"Name": "Share", "Value": share}],
            "Timestamp": now - datetime.timedelta(minutes=minutes),
            "Value": (minutes * factor) % 17,
        }
        for share, factor in [("finance", 3), ("people", 5)]
        for minutes in range(60)
    ]
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    return name


def widget(namespace: str, **more) -> str:
    return json.dumps(
        {
            "title": "Denied accesses",
            "start": "-PT1H",
            "period": 60,
            "stat": "Sum",
            "metrics": [
                [namespace, "Denied", "Share", "finance", {"id": "m1", "label": "finance"}],
                ["...", "people", {"id": "m2", "color": "#ffffff"}],
                [{"expression": "m1+m2", "label": "both", "id": "e1", "yAxis": "right"}],
            ],
            "annotations": {"horizontal": [{"value": 12, "label": "too many", "fill": "above"}]},
            **more,
        }
    )


def size(image: bytes) -> tuple[int, int]:
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", image[16:24])


def test_a_widget_is_a_picture(monitoring, namespace):
    image = monitoring.get_metric_widget_image(MetricWidget=widget(namespace))["MetricWidgetImage"]
    assert size(image) == (600, 400)
    wide = widget(namespace, width=900, height=300, stacked=True, yAxis={"left": {"min": 0, "max": 50, "label": "n"}})
    stacked = monitoring.get_metric_widget_image(MetricWidget=wide)["MetricWidgetImage"]
    assert size(stacked) == (900, 300)


def colours(image: bytes) -> collections.Counter:
    """How many pixels have which colour."""
    width, height = size(image)
    data, at = b"", 8
    while at < len(image):
        length, kind = struct.unpack(">I4s", image[at : at + 8])
        data += image[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    raw, above, found = zlib.decompress(data), bytearray(width * 4), collections.Counter()
    for y in range(height):
        start = y * (width * 4 + 1)
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + width * 4])
        for x in range(width * 4):
            left, corner = (row[x - 4], above[x - 4]) if x >= 4 else (0, 0)
            guess = left + above[x] - corner
            nearest = min(left, above[x], corner, key=lambda value: abs(guess - value))
            row[x] = row[x] + [0, left, above[x], (left + above[x]) // 2, nearest][how] & 0xFF
        found.update(bytes(row[x : x + 3]) for x in range(0, width * 4, 4))
        above = row
    return found


def test_a_picture_shows_its_values(cloudwatch, namespace):
    def shown(**more):
        described = widget(namespace, width=300, height=200, legend={"position": "hidden"}, annotations={}, **more)
        return colours(cloudwatch.get_metric_widget_image(MetricWidget=described)["MetricWidgetImage"])

    own = {"id": "m1", "color": "#0ff0f1"}
    drawn = shown(metrics=[[namespace, "Denied", "Share", "finance", own]], title="")
    assert drawn[b"\x0f\xf0\xf1"] > 50
    without = shown(metrics=[[namespace, "Denied", "Share", "nobody", own]], title="")
    assert without[b"\x0f\xf0\xf1"] == 0
    # On an axis that ends far below the values nothing but its upper edge has the colour.
    low = shown(metrics=[[namespace, "Denied", "Share", "finance", own]], yAxis={"left": {"max": 0.001}})
    assert low[b"\x0f\xf0\xf1"] != drawn[b"\x0f\xf0\xf1"]


def test_the_picture_of_an_alarm(cloudwatch, namespace):
    name = aws.unique("drawn")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        MetricName="Denied",
        Namespace=namespace,
        Dimensions=[{"Name": "Share", "Value": "finance"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
    )
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
    described = json.dumps({"annotations": {"alarms": [arn]}, "title": name})
    assert size(cloudwatch.get_metric_widget_image(MetricWidget=described)["MetricWidgetImage"]) == (600, 400)
    with aws.refused("ResourceNotFound", status=404):
        cloudwatch.get_metric_widget_image(MetricWidget=described.replace(name, "never"))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"width": 2001}, "width"),
        ({"height": 99}, "height"),
        ({"view": "pie"}, "view"),
        ({"start": "yesterday"}, "start"),
        ({"start": "-PT1H", "end": "-PT2H"}, "start"),
        ({"region": "elsewhere"}, "elsewhere"),
        ({"metrics": [["..."]] * 101}, "100"),
        ({"metrics": [["ns", "name", "lone"]]}, "pairs"),
        ({"metrics": [[".", "name"]]}, "metrics[0]"),
        ({"metrics": [[{"expression": "nothing+1", "id": "e1"}]]}, "nothing"),
        ({"metrics": [["ns", "name", {"color": "red"}]]}, "color"),
        ({"yAxis": {"left": {"min": 2, "max": 1}}}, "min"),
        ({"annotations": {"horizontal": [{"value": "x"}]}}, "annotations.horizontal[0]"),
        ({"annotations": {"horizontal": [{"value": 1}] * 51}}, "50"),
    ],
)
def test_a_widget_that_cannot_be_drawn_is_refused(cloudwatch, more, text):
    with aws.refused(("ValidationError", "InvalidParameterValue"), text):
        cloudwatch.get_metric_widget_image(MetricWidget=widget("ns", **more))


def test_what_is_no_widget_is_refused(cloudwatch):
    for text in ["x", "[]", '{"metrics": 1}', "{" * 1000]:
        with aws.refused("ValidationError", "MetricWidget"):
            cloudwatch.get_metric_widget_image(MetricWidget=text)
    with aws.refused("ValidationError", "65536"):
        cloudwatch.get_metric_widget_image(MetricWidget=" " * 65537)
    with aws.refused("ValidationError", "OutputFormat"):
        cloudwatch.get_metric_widget_image(MetricWidget="{}", OutputFormat="image/png")
