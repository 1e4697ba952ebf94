// One step of a job, as an operator's own scripts would take it: `rule` sets everything up and `events` sends events, waits
// for the alarm and reads back what happened.
import { setTimeout as sleep } from "node:timers/promises";
import { clients, give, job, refusal } from "./sdk.mjs";

const WAIT_MS_MAX = 20_000;
const POLL_MS = 100;

const asked = await job();
const { cloudwatch, logs, sns, sts } = clients(asked.sdk);
const group = { logGroupName: asked.group };
const stream = { ...group, logStreamName: "fs-1" };

async function subscribed() {
  const { TopicArn } = await sns.createTopic({ Name: asked.name });
  const answer = await sns.subscribe({ TopicArn, Protocol: "email", Endpoint: asked.address });
  return { TopicArn, subscription: answer.SubscriptionArn };
}

async function rule() {
  const { TopicArn, subscription } = await subscribed();
  await logs.createLogGroup(group);
  await logs.createLogStream(stream);
  await logs.putRetentionPolicy({ ...group, retentionInDays: 90 });
  const transformation = { metricName: "Seen", metricNamespace: asked.name, metricValue: "1" };
  await logs.putMetricFilter({
    ...group,
    filterName: "f",
    filterPattern: asked.pattern,
    metricTransformations: [transformation],
  });
  await cloudwatch.putMetricAlarm({
    AlarmName: asked.name,
    Namespace: asked.name,
    MetricName: "Seen",
    Statistic: asked.statistic,
    Period: asked.period,
    EvaluationPeriods: 1,
    Threshold: 5,
    ComparisonOperator: "GreaterThanThreshold",
    TreatMissingData: "notBreaching",
    AlarmActions: [TopicArn],
  });
  const { MetricAlarms } = await cloudwatch.describeAlarms({ AlarmNames: [asked.name] });
  const { metricFilters } = await logs.describeMetricFilters({ metricName: "Seen", metricNamespace: asked.name });
  const { Account } = await sts.getCallerIdentity({});
  return {
    account: Account,
    topic: TopicArn,
    subscription,
    alarm: { threshold: MetricAlarms[0].Threshold, actions: MetricAlarms[0].AlarmActions },
    filters: metricFilters.map((filter) => [filter.logGroupName, filter.filterPattern]),
  };
}

async function state() {
  const { MetricAlarms } = await cloudwatch.describeAlarms({ AlarmNames: [asked.name] });
  return MetricAlarms[0].StateValue;
}

async function events() {
  const { Subscriptions } = await sns.listSubscriptionsByTopic({ TopicArn: asked.topic });
  const logEvents = asked.messages.map((message) => ({ timestamp: asked.at, message }));
  const stored = await logs.putLogEvents({ ...stream, logEvents });
  for (const end = Date.now() + WAIT_MS_MAX; (await state()) !== "ALARM" && Date.now() < end; ) {
    await sleep(POLL_MS);
  }
  const range = { startTime: asked.at - 60_000, endTime: asked.at };
  const found = await logs.filterLogEvents({ ...group, filterPattern: asked.pattern, ...range });
  const read = await logs.getLogEvents({ ...stream, startFromHead: true });
  const history = await cloudwatch.describeAlarmHistory({ AlarmName: asked.name, HistoryItemType: "StateUpdate" });
  const points = await cloudwatch.getMetricStatistics({
    Namespace: asked.name,
    MetricName: "Seen",
    StartTime: new Date(asked.at - 600_000),
    EndTime: new Date(asked.at + 600_000),
    Period: 3600,
    Statistics: ["Sum"],
  });
  return {
    subscribers: Subscriptions.map((one) => [one.Protocol, one.Endpoint]),
    rejected: stored.rejectedLogEventsInfo ?? null,
    state: await state(),
    found: found.events.length,
    same: read.events.map((one) => one.message),
    history: history.AlarmHistoryItems.map((item) => item.HistorySummary),
    sum: points.Datapoints.reduce((sum, point) => sum + point.Sum, 0),
  };
}

/** What each client makes of an answer that is an error, for each protocol that is spoken. */
async function errors() {
  const missing = { logGroupName: `${asked.group}-missing` };
  const topic = asked.topic.replace(/[^:]+$/, "missing");
  const alarm = { AlarmName: asked.name, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold" };
  const short = { ...alarm, Namespace: "n", MetricName: "m", Statistic: "Sum", Period: 15 };
  const calls = {
    twice: () => logs.createLogGroup(group),
    missing: () => logs.putRetentionPolicy({ ...missing, retentionInDays: 1 }),
    topic: () => sns.getTopicAttributes({ TopicArn: topic }),
    period: () => cloudwatch.putMetricAlarm(short),
    none: () => cloudwatch.deleteAlarms({ AlarmNames: [`${asked.name}-missing`] }),
  };
  const told = {};
  for (const [name, call] of Object.entries(calls)) {
    told[name] = await refusal(asked.sdk, call);
  }
  return told;
}

const steps = { rule, events, errors };
give(await steps[asked.step]());
