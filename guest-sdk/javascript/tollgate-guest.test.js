// Tests of the SDK on the host: node --test, in this folder.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, context, describe, invoke, log, tool, ToolError } from './tollgate-guest.js';

const any = { name: 'echo', description: 'Answers what it is given.', input: { type: 'object' }, output: {} };

const draft = 'https://json-schema.org/draft/2020-12/schema';
const echo = tool(any, ({ value }) => value);
tool({ ...any, name: 'later' }, async ({ value }) => value);
tool({ ...any, name: 'refuse' }, () => { throw new ToolError('refused', 'not today'); });
tool({ ...any, name: 'bug' }, ({ value }) => value.length.length.length);
tool({ ...any, name: 'odd' }, () => { throw 'words'; });

const refusal = (operation, args) => invoke(operation, args).then(() => assert.fail('it answered'), ({ code, message }) => [code, message]);

test('a function stays callable, and answers JSON', async () => {
  assert.equal(echo({ value: 3 }), 3);
  assert.equal(await invoke('echo', '{"value": {"a": [1]}}'), '{"a":[1]}');
  assert.equal(await invoke('later', '{"value": 4}'), '4');
  assert.equal(await invoke('echo', '{}'), 'null');
});

test('operations are told in the order of the source', () => {
  assert.deepEqual(describe().map(({ name }) => name), ['echo', 'later', 'refuse', 'bug', 'odd']);
  const inputSchema = `{"$schema":"${draft}","type":"object"}`;
  assert.deepEqual(describe()[0], { name: 'echo', description: any.description, inputSchema, outputSchema: `{"$schema":"${draft}"}` });
});

test('what goes wrong has a code', async () => {
  assert.deepEqual(await refusal('refuse', '{}'), ['refused', 'not today']);
  assert.deepEqual(await refusal('odd', '{}'), ['exception', 'words']);
  const [code, message] = await refusal('bug', '{}');
  assert.equal(code, 'exception');
  assert.match(message, /^TypeError: Cannot read properties of undefined/);
  assert.equal((await refusal('nothing', '{}'))[0], 'unknown-operation');
  assert.equal((await refusal('echo', '{'))[0], 'invalid-arguments');
});

test('what a newcomer gets wrong is said', () => {
  const refused = (change, text, run = () => 1) =>
    assert.throws(() => tool({ ...any, name: 'new', ...change }, run), { name: 'TypeError', message: text });
  refused({ name: 'Read File' }, /tool "Read File": `name` must be of a-z/);
  refused({ name: undefined }, /`name` must be/);
  refused({ name: 'echo' }, /another operation has this name/);
  refused({ description: '' }, /write a `description`/);
  refused({ input: 'text' }, /`input` must be a JSON Schema/);
  refused({ output: undefined }, /`output` must be a JSON Schema/);
  refused({ input: { $schema: 'http://json-schema.org/draft-07/schema#' } }, /`\$schema` is .*draft-07.*; only draft 2020-12/);
  refused({ schema: {} }, /`schema` is unknown/);
  refused({}, /must be the function to call/, null);
  assert.equal(describe().length, 5);
});

test('the host can be another', () => {
  assert.deepEqual(context(), { id: '0'.repeat(32), session: undefined, deadlineLeftMs: 60_000 });
  const lines = [];
  connect({ write: (level, text) => lines.push([level, text]) });
  log.warn('three', 3, { a: 1 }, new Error('no'));
  log.debug('x');
  assert.deepEqual(lines, [[4, 'three 3 {"a":1} Error: no'], [7, 'x']]);
});
