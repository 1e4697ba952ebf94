// A short round through each of the other services: made, read back, taken away, and an error by its name.
import { clients, give, job, refusal } from "./sdk.mjs";

const asked = await job();
const { iam, lambda, ses, ssm } = clients(asked.sdk);
const name = asked.name;

async function parameters() {
  const Name = `/${name}/agent`;
  const first = await ssm.putParameter({ Name, Type: "String", Value: '{"a": "ü"}' });
  const second = await ssm.putParameter({ Name, Value: "{}", Overwrite: true });
  const { Parameter } = await ssm.getParameter({ Name });
  const older = await ssm.getParameter({ Name: `${Name}:1` });
  const { Parameters } = await ssm.getParametersByPath({ Path: `/${name}`, Recursive: true });
  await ssm.deleteParameter({ Name });
  return {
    versions: [first.Version, second.Version],
    values: [older.Parameter.Value, Parameter.Value],
    modified: Parameter.LastModifiedDate instanceof Date,
    below: Parameters.map((one) => one.Name === Name),
    missing: await refusal(asked.sdk, () => ssm.getParameter({ Name })),
  };
}

async function users() {
  const UserName = name;
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "logs:PutLogEvents", Resource: "*" }],
  });
  const { User } = await iam.createUser({ UserName });
  await iam.putUserPolicy({ UserName, PolicyName: "ship", PolicyDocument });
  const read = await iam.getUserPolicy({ UserName, PolicyName: "ship" });
  const { AccessKey } = await iam.createAccessKey({ UserName });
  const { AccessKeyMetadata } = await iam.listAccessKeys({ UserName });
  await iam.deleteAccessKey({ UserName, AccessKeyId: AccessKey.AccessKeyId });
  await iam.deleteUserPolicy({ UserName, PolicyName: "ship" });
  await iam.deleteUser({ UserName });
  return {
    user: User.Arn.endsWith(`:user/${name}`),
    policy: decodeURIComponent(read.PolicyDocument) === PolicyDocument,
    keys: AccessKeyMetadata.map((one) => one.AccessKeyId === AccessKey.AccessKeyId && one.Status),
    missing: await refusal(asked.sdk, () => iam.getUser({ UserName })),
  };
}

/** Asks for the address to be verified; sends once it is. */
async function identities() {
  const EmailAddress = `${name}@example.org`;
  const Identities = [EmailAddress];
  if (!asked.verified) {
    await ses.verifyEmailIdentity({ EmailAddress });
  }
  const { VerificationAttributes } = await ses.getIdentityVerificationAttributes({ Identities });
  const message = {
    Source: EmailAddress,
    Destination: { ToAddresses: [asked.address] },
    Message: { Subject: { Data: "Größe" }, Body: { Html: { Data: "<b>Größe</b>" } } },
  };
  let sent = null;
  const refused = await refusal(asked.sdk, async () => {
    sent = await ses.sendEmail(message);
  });
  return { state: VerificationAttributes[EmailAddress].VerificationStatus, refused, id: sent?.MessageId ?? null };
}

async function functions() {
  const { Functions } = await lambda.listFunctions({});
  const FunctionName = `${name}-missing`;
  return {
    functions: Functions.filter((one) => one.FunctionName.startsWith(name)),
    missing: await refusal(asked.sdk, () => lambda.getFunction({ FunctionName })),
  };
}

const rounds = { parameters, users, identities, functions };
give(await rounds[asked.round]());
