// The clients of both AWS SDKs for JavaScript under the same names: `clients("v2").logs.createLogGroup({...})` gives a
// promise, and so does version 3.
import { createRequire } from "node:module";
import process from "node:process";

const require = createRequire(import.meta.url);

// One attempt each: what is not answered at the first is a finding.
const v2 = {
  load() {
    const sdk = require("aws-sdk");
    // Version 2 knows nothing of AWS_ENDPOINT_URL.
    const options = { endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION, maxRetries: 0 };
    const made = (Service, more) => promising(new Service({ ...options, ...more }));
    return {
      cloudwatch: made(sdk.CloudWatch),
      iam: made(sdk.IAM),
      lambda: made(sdk.Lambda),
      logs: made(sdk.CloudWatchLogs),
      s3: made(sdk.S3, { s3ForcePathStyle: true }),
      ses: made(sdk.SES),
      sns: made(sdk.SNS),
      ssm: made(sdk.SSM),
      sts: made(sdk.STS),
    };
  },
  error: (error) => error.code,
};

const v3 = {
  load() {
    const made = (module, name, more) =>
      new (require(`@aws-sdk/client-${module}`)[name])({ maxAttempts: 1, ...more });
    return {
      cloudwatch: made("cloudwatch", "CloudWatch"),
      iam: made("iam", "IAM"),
      lambda: made("lambda", "Lambda"),
      logs: made("cloudwatch-logs", "CloudWatchLogs"),
      s3: made("s3", "S3", { forcePathStyle: true }),
      ses: made("ses", "SES"),
      sns: made("sns", "SNS"),
      ssm: made("ssm", "SSM"),
      sts: made("sts", "STS"),
    };
  },
  error: (error) => error.name,
};

const versions = { v2, v3 };

function promising(client) {
  return new Proxy(client, {
    get: (target, operation) => (parameters) => target[operation](parameters ?? {}).promise(),
  });
}

/** The clients of one version. */
export function clients(version) {
  return versions[version].load();
}

/** The code of the error that the call ends with; null if it ends with none. */
export async function refusal(version, call) {
  try {
    await call();
    return null;
  } catch (error) {
    return versions[version].error(error);
  }
}

/** What was handed in on standard input. */
export async function job() {
  let text = "";
  for await (const chunk of process.stdin) {
    text += chunk;
  }
  return JSON.parse(text);
}

/** Hands the result out. */
export function give(result) {
  process.stdout.write(JSON.stringify(result));
}
