// Follows a group by StartLiveTail until an event comes, which it sends itself; version 3 alone can read event streams.
import { clients, give, job } from "./sdk.mjs";
import { createRequire } from "node:module";

const { CloudWatchLogs } = createRequire(import.meta.url)("@aws-sdk/client-cloudwatch-logs");
const asked = await job();
// Live tail has a host of its own on AWS: `streaming-` before the endpoint's. Here there is one host.
const tailing = new CloudWatchLogs({ maxAttempts: 1, disableHostPrefix: true });
const { logs } = clients("v3");

const answer = await tailing.startLiveTail({ logGroupIdentifiers: [asked.arn], logEventFilterPattern: asked.pattern });
const seen = [];
const kinds = new Set();
for await (const event of answer.responseStream) {
  kinds.add(Object.keys(event)[0]);
  if (event.sessionStart) {
    const logEvents = asked.messages.map((message) => ({ timestamp: Date.now(), message }));
    await logs.putLogEvents({ logGroupName: asked.group, logStreamName: asked.stream, logEvents });
  }
  seen.push(...(event.sessionUpdate?.sessionResults ?? []).map((result) => result.message));
  if (seen.length > 0) {
    break;
  }
}
tailing.destroy();
give({ kinds: [...kinds], seen });
