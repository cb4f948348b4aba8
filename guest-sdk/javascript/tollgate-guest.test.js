// Tests of the SDK on the host: node --test, in this folder.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, context, describe, invoke, log, refusal as refusalOf, tool, ToolError } from './tollgate-guest.js';

const any = { name: 'echo', description: 'Answers what it is given.', input: { type: 'object' }, output: {} };

const draft = 'https://json-schema.org/draft/2020-12/schema';
const echo = tool(any, ({ value }) => value);
tool({ ...any, name: 'later' }, async ({ value }) => value);
tool({ ...any, name: 'refuse' }, () => { throw new ToolError('refused', 'not today'); });
tool({ ...any, name: 'bug' }, ({ value }) => value.length.length.length);
tool({ ...any, name: 'odd' }, () => { throw 'words'; });
let current;
tool({ ...any, name: 'any' }, () => current);

const refusal = (operation, args) => invoke(operation, args).then(() => assert.fail('it answered'), ({ code, message }) => [code, message]);

test('a function stays callable, and answers JSON', async () => {
  assert.equal(echo({ value: 3 }), 3);
  assert.equal(await invoke('echo', '{"value": {"a": [1]}}'), '{"a":[1]}');
  assert.equal(await invoke('later', '{"value": 4}'), '4');
  assert.equal(await invoke('echo', '{}'), 'null');
});

test('operations are told in the order of the source', () => {
  assert.deepEqual(describe().map(({ name }) => name), ['echo', 'later', 'refuse', 'bug', 'odd', 'any']);
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

test('integers beyond 2^53 are refused with their place', async () => {
  const beyond = (at, n) => ['invalid-arguments', `${at}${n} is beyond 2^53, where JavaScript rounds integers: take it as a text, and BigInt(…) of that`];
  assert.deepEqual(await refusal('echo', '{"value": [1, {"n": 9007199254740993}]}'), beyond('at value[1].n: ', '9007199254740993'));
  assert.deepEqual(await refusal('echo', '{"value": -12345678901234567890}'), beyond('at value: ', '-12345678901234567890'));
  assert.deepEqual(await refusal('echo', '{"value": 9007199254740993.0}'), beyond('at value: ', '9007199254740993'));
  for (const whole of ['9007199254740991', '1.5e+300', '"9007199254740993"', '"a \\" 9007199254740993"', '0.1234567890123456']) {
    assert.equal(await invoke('echo', `{"value": ${whole}}`), whole);
  }
});

test('an answer is the JSON that the function means, or is refused with its place', async () => {
  const answers = (value) => { current = value; return invoke('any', '{}'); };
  const refused = (value) => { current = value; return refusal('any', '{}').then(([code, message]) => {
    assert.equal(code, 'invalid-answer');
    return message.replace('the answer cannot be JSON: ', '');
  }); };
  assert.equal(await answers({ a: [2n ** 64n, undefined, null], b: undefined, c: new Date(0), d: 'é"' }),
    '{"a":[18446744073709551616,null,null],"c":"1970-01-01T00:00:00.000Z","d":"é\\""}');
  assert.equal(await answers([1e300, -0, 1e21, new String('x')]), '[1e+300,0,1e+21,"x"]');
  assert.equal(await answers([new (class Empty {})(), Object.create(null), {}]), '[{},{},{}]');
  const circle = { inner: {} };
  circle.inner.all = circle;
  const cases = [
    [{ n: 2 ** 60 }, 'at n: 1152921504606847000 is beyond 2^53, where JavaScript rounds integers: write a BigInt, or a text'],
    [[NaN], 'at [0]: NaN is no number in JSON: write null'],
    [{ a: [new Map()] }, 'at a[0]: a Map is no value in JSON: write Object.fromEntries(…)'],
    [new Set(), 'a Set is no value in JSON: write [...…]'],
    [{ p: Promise.resolve() }, 'at p: a Promise is no value in JSON: write await before it'],
    [[new Uint8Array(1)], 'at [0]: a Uint8Array is no value in JSON: write Array.from(…), or a text'],
    [{ f() {} }, 'at f: a function is no value in JSON: leave it out'],
    [new Error('no'), 'an Error is no value in JSON: throw it, or write .message'],
    [[1].values(), 'an iterator is no value in JSON: write [...…]'],
    [(function* one() { yield 1; })(), 'an iterator is no value in JSON: write [...…]'],
    [{ all: (async function* one() { yield 1; })() }, 'at all: an iterator is no value in JSON: collect its items by for await'],
    [{ ref: new WeakRef({}) }, 'at ref: a WeakRef is no value in JSON: write what it holds'],
    [['a\ud800'], 'at [0]: a text with half a character, "a\\ud800": write text.toWellFormed()'],
    [{ '\ud800': 1 }, 'at \ufffd: a text with half a character, "\\ud800": write text.toWellFormed()'],
    [circle, 'at inner.all: the object holds itself'],
  ];
  for (const [value, message] of cases) assert.equal(await refused(value), message);
});

test('what engines of components lack is said', () => {
  const words = (error) => refusalOf(error).message;
  assert.match(words(new ReferenceError('Intl is not defined')), /this engine has no Intl/);
  assert.match(words(new TypeError('"é".normalize is not a function')), /no tables of Unicode/);
  assert.match(words(new SyntaxError('invalid class property name in regular expression')), /list the ranges/);
  assert.match(words(new ReferenceError('Buffer is not defined')), /of Node/);
  assert.equal(words(new Error('half \ud800')).includes('half \ufffd'), true);
});

test('what throws where it is looked at is told all the same', () => {
  const told = (error) => refusalOf(error).message;
  const untold = '(a value that cannot be shown)';
  assert.match(told(new RangeError()), /^RangeError( \(at .*\))?$/);
  assert.equal(told(Object.create(null)), '{}');
  assert.equal(told(new Proxy({}, { getPrototypeOf() { throw new Error('no'); } })), untold);
  assert.equal(told(Object.assign(new ToolError('refused', 'no'), { message: Object.create(null) })), untold);
  const getter = { get inside() { throw new Error('no'); } };
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const lines = [];
  connect({ write: (_, text) => lines.push(text) });
  log.info('before', getter, revoked.proxy, 'behind');
  assert.deepEqual(lines, [`before [object Object] ${untold} behind`]);
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
  assert.equal(describe().length, 6);
});

test('the host can be another', () => {
  assert.deepEqual(context(), { id: '0'.repeat(32), session: undefined, deadlineLeftMs: 60_000 });
  const lines = [];
  connect({ write: (level, text) => lines.push([level, text]) });
  log.warn('three', 3, { a: 1 }, new Error('no'));
  log.debug('x');
  const circle = {};
  circle.inner = circle;
  log.info(1n, new Set([2n]), circle);
  assert.deepEqual(lines, [[4, 'three 3 {"a":1} Error: no'], [7, 'x'], [6, '"1n" ["2n"] [object Object]']]);
});
