// The official TypeScript clients: npm `@modelcontextprotocol/sdk` of the first era, and `@modelcontextprotocol/client` of both. The plan
// and what is told of each step are those of `steps.py`.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { pathToFileURL } from 'node:url';

const plan = JSON.parse(process.argv[2]);
const installed = createRequire(plan.packages + '/package.json');
const load = (name) => import(pathToFileURL(installed.resolve(name)));

const tell = (step, more = {}) => process.stdout.write(JSON.stringify({ step, ...more }) + '\n');
const words = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const word = async () => {
  if ((await words.next()).done) throw new Error('the test has ended');
};

async function packageOfBoth() {
  const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
  const { StdioClientTransport } = await load('@modelcontextprotocol/client/stdio');
  return { Client, StreamableHTTPClientTransport, StdioClientTransport, changed: 'notifications/tools/list_changed' };
}

async function packageOfOne() {
  const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const { StdioClientTransport } = await load('@modelcontextprotocol/sdk/client/stdio.js');
  const { ToolListChangedNotificationSchema } = await load('@modelcontextprotocol/sdk/types.js');
  return { Client, StreamableHTTPClientTransport, StdioClientTransport, changed: ToolListChangedNotificationSchema };
}

const { Client, StreamableHTTPClientTransport, StdioClientTransport, changed } = await (plan.mode === undefined
  ? packageOfOne()
  : packageOfBoth());

const transport = plan.url
  ? new StreamableHTTPClientTransport(new URL(plan.url), {
      requestInit: { headers: { Authorization: `Bearer ${plan.token}` } },
    })
  : new StdioClientTransport({ command: plan.command, args: plan.args, env: plan.env });
const client = new Client({ name: 'official', version: '1' }, { versionNegotiation: { mode: plan.mode } });
const heard = new Promise((hear) => client.setNotificationHandler(changed, hear));

await client.connect(transport);
const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null;
tell('opened', { version, server: client.getServerVersion().name });
tell('tools', { tools: (await client.listTools()).tools });

for (const [name, args] of plan.calls) {
  const result = await client.callTool({ name, arguments: args });
  // Behind them stands a link to the receipt, which is of each call its own.
  const texts = result.content.filter((block) => block.type === "text").map((block) => block.text);
  const structured = result.structuredContent ?? null;
  const isSame = structured === null || isDeepStrictEqual(JSON.parse(texts[0]), structured);
  tell('called', { texts, structured, isSame, isError: result.isError, meta: result._meta });
}

if (plan.unknown) {
  const known = client.callTool({ name: plan.unknown, arguments: {} });
  tell('unknown', { code: await known.then(() => null, (error) => error.code) });
}

if (plan.endless) {
  const [name, args] = plan.endless;
  const abort = new AbortController();
  // The package of the first era has a schema for the result between them.
  const between = plan.mode === undefined ? [undefined] : [];
  const call = client.callTool({ name, arguments: args }, ...between, { signal: abort.signal });
  tell('calling');
  await word();
  abort.abort();
  await call.catch(() => undefined);
  await word();
  tell('cancelled');
}

if (plan.hears) {
  const subscription = plan.mode === 'auto' ? await client.listen({ toolsListChanged: true }) : undefined;
  tell('listening');
  await heard;
  tell('changed', { names: (await client.listTools()).tools.map((tool) => tool.name) });
  await subscription?.close();
}
tell('done');
await client.close();
process.exit(0);
