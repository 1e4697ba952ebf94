// Nightbell's runtime for functions in JavaScript: loads the handler, asks the Lambda Runtime API for events, and tells what
// came of them ("Using the Lambda runtime API", AWS Lambda developer guide). CommonJS and ES modules, handlers that are async
// and those that call back. Version 2 of aws-sdk, which knows no AWS_ENDPOINT_URL, is pointed at it when it is loaded.
import fs from 'node:fs';
import http from 'node:http';
import Module, { createRequire, register } from 'node:module';
import path from 'node:path';
import { format, types } from 'node:util';
import { pathToFileURL } from 'node:url';

const { env } = process;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':');
const root = env.LAMBDA_TASK_ROOT;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId;

function ask(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const request = http.request(
      { host, port, method, agent, path: `/2018-06-01/runtime/${where}`, headers: { ...headers, ...length } },
      (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }));
        answer.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

// --- the log -------------------------------------------------------------------------------------------------------------------

const write = (text) => fs.writeSync(1, `${text.replaceAll('\n', '\r')}\n`);
const levels = { trace: 'TRACE', debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
for (const [name, level] of Object.entries(levels)) {
  console[name] = (...values) => write(`${new Date().toISOString()}\t${requestId}\t${level}\t${format(...values)}`);
}

function described(error) {
  if (error instanceof Error || (error && error.stack !== undefined && error.message !== undefined)) {
    const trace = String(error.stack ?? '').split('\n');
    return { errorType: error.name ?? 'Error', errorMessage: String(error.message), trace };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

// --- aws-sdk 2 -----------------------------------------------------------------------------------------------------------------

const pointed = new WeakSet();
const load = Module._load;
Module._load = function (...values) {
  const loaded = load.apply(this, values);
  const endpoint = env.AWS_ENDPOINT_URL;
  // While a module is only half loaded, looking at it would make Node warn.
  const isWhole = loaded && typeof loaded === 'object' && !types.isProxy(Object.getPrototypeOf(loaded));
  const isSdk = endpoint && isWhole && typeof loaded.VERSION === 'string' &&
    loaded.VERSION.startsWith('2.') && loaded.Service && typeof loaded.config?.update === 'function';
  // The SDK replaces its configuration while it loads, so each is looked at.
  if (isSdk && !pointed.has(loaded.config)) {
    pointed.add(loaded.config);
    if (!loaded.config.endpoint) loaded.config.update({ endpoint, s3ForcePathStyle: true });
  }
  return loaded;
};

// ES modules know no NODE_PATH; what they do not find beside themselves is looked for there, too.
if (env.NODE_PATH) {
  const folders = JSON.stringify(env.NODE_PATH.split(':').map((folder) => pathToFileURL(path.join(folder, '..', 'x.js')).href));
  const hook = `export async function resolve(name, context, next) {
    try { return await next(name, context); } catch (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(name)) throw error;
      for (const parentURL of ${folders}) { try { return await next(name, { ...context, parentURL }); } catch {} }
      throw error;
    }
  }`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

// --- the handler ---------------------------------------------------------------------------------------------------------------

class HandlerNotFound extends Error { name = 'Runtime.HandlerNotFound'; }
class ImportModuleError extends Error { name = 'Runtime.ImportModuleError'; }
class MalformedHandlerName extends Error { name = 'Runtime.MalformedHandlerName'; }

async function importHandler() {
  const parts = /^((?:.*\/)?[^./]*)\.(.*)$/.exec(env._HANDLER);
  if (!parts || env._HANDLER.includes('..')) throw new MalformedHandlerName(`Bad handler: ${env._HANDLER}`);
  const file = path.resolve(root, parts[1]);
  const there = ['.js', '.mjs', '.cjs'].map((end) => file + end).find((name) => fs.existsSync(name));
  let loaded;
  try {
    if (there?.endsWith('.mjs')) loaded = await import(pathToFileURL(there).href);
    else {
      const require = createRequire(path.join(root, 'index.js'));
      try {
        loaded = require(there ?? file);
      } catch (error) {
        if (error.code !== 'ERR_REQUIRE_ESM' && !(there && error instanceof SyntaxError)) throw error;
        loaded = await import(pathToFileURL(there).href);
      }
    }
  } catch (error) {
    if (['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(error.code)) {
      throw new ImportModuleError(`Error: Cannot find module '${path.basename(file)}'\n${error.message}`);
    }
    throw error;
  }
  let handler = loaded;
  for (const name of parts[2].split('.')) handler = handler?.[name];
  handler ??= parts[2].split('.').reduce((at, name) => at?.[name], loaded.default);
  if (typeof handler !== 'function') throw new HandlerNotFound(`${env._HANDLER} is undefined or not exported`);
  return handler;
}

function contextOf(headers, finish) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: JSON.parse(headers['lambda-runtime-client-context'] ?? 'null') ?? undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
    done: finish,
    succeed: (value) => finish(null, value),
    fail: (error) => finish(error ?? new Error('handled')),
  };
}

// Resolves with what the handler gives, by whichever way it gives it. A handler that calls back may go on working: what it
// gives counts once nothing is left to do, unless it says that it does not wait.
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let given;
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      process.off('beforeExit', over);
      if (given?.error !== undefined && given.error !== null) reject(given.error);
      else resolve(given?.value);
    };
    const finish = (error, value) => {
      given ??= { error, value };
      if (!context.callbackWaitsForEmptyEventLoop || (error !== undefined && error !== null)) setImmediate(over);
    };
    const context = contextOf(headers, (error, value) => { context.callbackWaitsForEmptyEventLoop = false; finish(error, value); });
    process.on('beforeExit', over);
    try {
      const promise = handler(event, context, finish);
      if (typeof promise?.then === 'function') promise.then((value) => { given = { value }; over(); }, (error) => { given = { error: error ?? new Error('rejected without a reason') }; over(); });
    } catch (error) {
      given = { error: error ?? new Error('thrown without a reason') };
      over();
    }
  });
}

async function fail(where, error, title) {
  const told = described(error);
  write(`${new Date().toISOString()}\t${requestId}\tERROR\t${title} \t${JSON.stringify({ ...told, stack: told.trace, trace: undefined })}`);
  await ask('POST', where, JSON.stringify(told), { 'Lambda-Runtime-Function-Error-Type': told.errorType });
}

async function main() {
  let handler;
  try {
    handler = await importHandler();
  } catch (error) {
    await fail('init/error', error, 'Uncaught Exception');
    process.exit(1);
  }
  for (const [signal, type] of [['uncaughtException', 'Uncaught Exception'], ['unhandledRejection', 'Unhandled Promise Rejection']]) {
    process.on(signal, async (error) => {
      const named = type.startsWith('Unhandled') ? Object.assign(new Error(String(error?.message ?? error)), { name: 'Runtime.UnhandledPromiseRejection' }) : error;
      if (requestId) await fail(`invocation/${requestId}/error`, named, type);
      process.exit(128);
    });
  }
  for (;;) {
    const { status, headers, body } = await ask('GET', 'invocation/next');
    if (status !== 200) process.exit(1);
    requestId = headers['lambda-runtime-aws-request-id'];
    env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
    try {
      const value = await run(handler, JSON.parse(body.toString()), headers);
      const text = JSON.stringify(value === undefined ? null : value);
      await ask('POST', `invocation/${requestId}/response`, text ?? 'null');
    } catch (error) {
      await fail(`invocation/${requestId}/error`, error, 'Invoke Error');
    }
  }
}

main().catch((error) => {
  write(`${new Date().toISOString()}\t${requestId}\tERROR\tThe runtime has failed: ${error.stack}`);
  process.exit(1);
});
