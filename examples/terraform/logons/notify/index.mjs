// Mails what it is told, by SES: events of a subscription filter, or messages of a topic.
import { gunzipSync } from "node:zlib";
import { SESClient, SendEmailCommand } from "@aws-sdk/client-ses";

const ses = new SESClient({});

// Gives the lines to tell. A check of whether the function can be reached (CONTROL_MESSAGE) has none.
function lines(event) {
  if (event.Records) {
    return event.Records.map((record) => record.Sns.Message);
  }
  const { messageType, logEvents } = JSON.parse(gunzipSync(Buffer.from(event.awslogs.data, "base64")));
  return messageType === "DATA_MESSAGE" ? logEvents.map((logged) => logged.message) : [];
}

export async function handler(event) {
  const told = lines(event);
  if (told.length === 0) {
    return { sent: 0 };
  }
  await ses.send(
    new SendEmailCommand({
      Source: process.env.SENDER,
      Destination: { ToAddresses: [process.env.RECIPIENT] },
      Message: {
        Subject: { Data: `Failed logons of administrators: ${told.length}` },
        Body: { Text: { Data: told.join("\n") } },
      },
    }),
  );
  return { sent: told.length };
}
