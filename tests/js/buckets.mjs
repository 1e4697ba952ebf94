// A round through a bucket: made, an object from memory and one from a file, read whole and in part, listed, taken away.
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";

import { clients, give, job, refusal } from "./sdk.mjs";

const asked = await job();
const { s3 } = clients(asked.sdk);
const Bucket = asked.name;
const Key = "a folder/ü + b.txt";

// Version 2 hands out a buffer, version 3 a stream.
const text = async (Body) => (Body.transformToString ? Body.transformToString() : Body.toString());

await s3.createBucket({ Bucket });
const put = await s3.putObject({ Bucket, Key, Body: "hello", ContentType: "text/plain", Metadata: { origin: "js" } });
const whole = await s3.getObject({ Bucket, Key });
const part = await s3.getObject({ Bucket, Key, Range: "bytes=1-3" });
await writeFile("large.bin", Buffer.alloc(300_000, "x"));
await s3.putObject({ Bucket, Key: "large.bin", Body: createReadStream("large.bin") });
const head = await s3.headObject({ Bucket, Key: "large.bin" });
const listed = await s3.listObjectsV2({ Bucket });
const missing = await refusal(asked.sdk, () => s3.getObject({ Bucket, Key: "nothing" }));
const full = await refusal(asked.sdk, () => s3.deleteBucket({ Bucket }));
await s3.deleteObjects({ Bucket, Delete: { Objects: listed.Contents.map(({ Key }) => ({ Key })) } });
await s3.deleteBucket({ Bucket });
give({
  etag: put.ETag,
  whole: await text(whole.Body),
  part: await text(part.Body),
  type: whole.ContentType,
  metadata: whole.Metadata,
  large: head.ContentLength,
  keys: listed.Contents.map((one) => one.Key),
  missing,
  full,
  gone: await refusal(asked.sdk, () => s3.listObjectsV2({ Bucket })),
});
