// What `clients.py` records of the AWS SDK for JavaScript whose version is handed in: the same calls by version 2 and 3, with a
// stopped clock. Nothing answers them.
import process from "node:process";
import { clients } from "../../../../tests/js/sdk.mjs";

const NOW = Date.parse("2026-01-05T10:20:30Z");
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...parts) {
    super(...(parts.length > 0 ? parts : [NOW]));
  }
  static now() {
    return NOW;
  }
};

const { cloudwatch, iam, lambda, logs, ses, sns, ssm, sts } = clients(process.argv[2]);
const topic = "arn:aws:sns:eu-central-1:000000000000:security";
const dimensions = [
  { Name: "Instance", Value: "fs-01" },
  { Name: "Folder", Value: "\\secret\\Größe & Co" },
];
const calls = [
  () =>
    logs.putLogEvents({
      logGroupName: "/audit/files",
      logStreamName: "fs-01",
      logEvents: [{ timestamp: 1767608430123, message: "<Event>denied \\secret\\ü</Event>" }],
    }),
  () => logs.createLogGroup({ logGroupName: "/audit/files", tags: { team: "sec=ops" } }),
  () =>
    cloudwatch.putMetricData({
      Namespace: "Audit/Files",
      MetricData: [
        { MetricName: "Denied", Dimensions: dimensions, Timestamp: new Date("2026-01-05T10:19:00Z"), Value: 3 },
        { MetricName: "Latency", Values: [0.5, 1e-7, 123456.75], Counts: [1, 2, 3] },
      ],
    }),
  () =>
    cloudwatch.putMetricAlarm({
      AlarmName: "denied-access",
      ActionsEnabled: false,
      AlarmActions: [topic],
      MetricName: "Denied",
      Namespace: "Audit/Files",
      Dimensions: dimensions,
      Statistic: "Sum",
      Period: 60,
      EvaluationPeriods: 3,
      Threshold: 5.5,
      ComparisonOperator: "GreaterThanThreshold",
      Tags: [{ Key: "team", Value: "sec=ops" }],
    }),
  () =>
    sns.publish({
      TopicArn: topic,
      Message: "denied: 5 × fs-01\nsee https://example.org/?a=1&b=2",
      Subject: "ALARM: denied",
      MessageAttributes: {
        severity: { DataType: "String", StringValue: "high" },
        raw: { DataType: "Binary", BinaryValue: Buffer.from([0, 255, 16]) },
      },
    }),
  () => sts.getCallerIdentity({}),
  () => ssm.putParameter({ Name: "/agent/config", Type: "String", Value: '{"a": "ü"}', Overwrite: true }),
  () => iam.putUserPolicy({ UserName: "shipper", PolicyName: "ship", PolicyDocument: '{"Statement": []}' }),
  () =>
    ses.sendEmail({
      Source: "nightbell@example.org",
      Destination: { ToAddresses: ["a@example.org", "b@example.org"] },
      Message: { Subject: { Data: "denied: ü" }, Body: { Text: { Data: "a+b & c=d" } } },
    }),
  () => lambda.invoke({ FunctionName: "notify", Qualifier: "$LATEST", InvocationType: "Event", Payload: '{"a": "ü"}' }),
  () => lambda.getFunction({ FunctionName: "arn:aws:lambda:eu-central-1:000000000000:function:notify" }),
];
for (const call of calls) {
  await call().catch(() => {});
}
