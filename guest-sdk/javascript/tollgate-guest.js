/**
 * Tollgate's SDK for tools in JavaScript: `tool` makes an operation of a function.
 *
 *     import { tool, ToolError, log } from './vendor/tollgate-guest.js';
 *
 *     export const greet = tool({
 *       name: 'greet',
 *       description: 'Greets someone by name.',
 *       input: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false },
 *       output: { type: 'string' },
 *     }, ({ name }) => `Hello ${name}`);
 *
 * `tool` gives the function back, so that unit tests call it. The host checks arguments against `input` before the function
 * runs. This file imports nothing, and must never ask the host for anything before the tool does.
 */

/** The tool's own refusal: a short stable code (`not-found`), and what the agent should know and do. */
export class ToolError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'ToolError';
    this.code = code;
  }
}

/**
 * An operation as the host sees it.
 * @typedef {object} Operation
 * @property {string} name `[a-z][a-z0-9-]*`, at most 64 characters.
 * @property {string} description By which agents choose the operation.
 * @property {object} input JSON Schema (draft 2020-12) of the arguments, an object; without references that recur.
 * @property {object} output JSON Schema of the answer.
 */

/** The only draft of JSON Schema that a host takes. */
const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** @type {Map<string, Operation & { run: (args: any) => any }>} By name, in the order of the source. */
const operations = new Map();

/**
 * Makes an operation of `run`, and gives `run` back.
 * @template {(args: any) => any} F
 * @param {Operation} operation
 * @param {F} run Takes the arguments as one object; answers with a JSON value, or a promise of one.
 * @returns {F}
 */
export function tool(operation, run) {
  const { name, description, input, output, ...others } = operation;
  const fault = (text) => new TypeError(`tool ${JSON.stringify(name)}: ${text}`);
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name ?? '')) throw fault('`name` must be of a-z, 0-9 and -, such as read-file');
  if (!description) throw fault('write a `description`: agents choose an operation by it');
  if (!input || typeof input !== 'object') throw fault('`input` must be a JSON Schema of the arguments');
  if (!output || typeof output !== 'object') throw fault('`output` must be a JSON Schema of the answer');
  for (const { $schema } of [input, output]) {
    if ($schema && $schema !== DRAFT) throw fault(`\`$schema\` is ${JSON.stringify($schema)}; only draft 2020-12, ${DRAFT}, is taken`);
  }
  if (typeof run !== 'function') throw fault('the second argument must be the function to call');
  if (operations.has(name)) throw fault('another operation has this name: give one of them another');
  const [unknown] = Object.keys(others);
  if (unknown) throw fault(`\`${unknown}\` is unknown; name, description, input and output are taken`);
  operations.set(name, { name, description, input, output, run });
  return run;
}

/** Lines for the operator, by level. In unit tests they go to the console. */
export const log = {
  error: (/** @type {any[]} */ ...words) => host.write(3, text(words)),
  warn: (/** @type {any[]} */ ...words) => host.write(4, text(words)),
  info: (/** @type {any[]} */ ...words) => host.write(6, text(words)),
  debug: (/** @type {any[]} */ ...words) => host.write(7, text(words)),
};

/**
 * Asks the host about the call that is being answered; denied unless the manifest says `[needs] context = true` and it is
 * granted. In unit tests the call is a fixed one with a minute left.
 * @returns {{ id: string, session?: string, deadlineLeftMs: number }}
 */
export function context() {
  return host.context();
}

/** What a component puts its own in the place of. */
const host = {
  write: (/** @type {number} */ level, /** @type {string} */ line) => console.error(`<${level}>${line}`),
  context: () => ({ id: '0'.repeat(32), session: undefined, deadlineLeftMs: 60_000 }),
};

/** For the component alone. @param {Partial<typeof host>} functions */
export function connect(functions) {
  Object.assign(host, functions);
}

/** For the component and for tests: the operations, schemas as JSON text. */
export function describe() {
  const told = (/** @type {object} */ schema) => JSON.stringify({ $schema: DRAFT, ...schema });
  return [...operations.values()].map(({ name, description, input, output }) =>
    ({ name, description, inputSchema: told(input), outputSchema: told(output) }));
}

/**
 * Answers a call: JSON text in and out. Throws `ToolError`, whatever goes wrong.
 * @param {string} operation @param {string} args @returns {Promise<string>}
 */
export async function invoke(operation, args) {
  const found = operations.get(operation);
  if (!found) throw new ToolError('unknown-operation', `this tool has no operation "${operation}"`);
  let values;
  try {
    values = JSON.parse(args);
  } catch (error) {
    throw new ToolError('invalid-arguments', text([error]));
  }
  refuseRounded(args);
  try {
    return asJson(await found.run(values));
  } catch (error) {
    throw refusal(error);
  }
}

/** What was thrown, as the tool's refusal. @param {any} error */
export function refusal(error) {
  try {
    if (error instanceof ToolError) return new ToolError(String(error.code).toWellFormed(), String(error.message).toWellFormed());
    const [said, place] = [text([error]), /((?:[\w.-]+\/)*tool\.js:\d+)/.exec(error?.stack ?? '')];
    return new ToolError('exception', (said + hint(said) + (place ? ` (at ${place[1]})` : '')).toWellFormed());
  } catch {
    // To look at it is to run the tool's code, which throws too.
    return new ToolError('exception', UNTOLD);
  }
}

/** What to do about what this engine lacks. @param {string} said */
function hint(said) {
  const [, words] = LACKING.find(([pattern]) => pattern.test(said)) ?? [];
  return words ? `: ${words}` : '';
}

/** Engines of browsers and of Node have these; the errors where they are missing do not say that it is by design. @type {[RegExp, string][]} */
const LACKING = [
  [/\bIntl\b.*not defined/, 'this engine has no Intl: format with code of your own'],
  [/\.?normalize\b.*not a function/, 'this engine has no tables of Unicode: bundle a package for it, such as unorm'],
  [/invalid (class )?property name in regular expression/, 'this engine has no tables of Unicode, so no \\p{…}: list the ranges'],
  [/\b(process|require|Buffer|__dirname)\b.*not defined/, 'that is of Node, and is not there in a component'],
  [/\b(fetch|XMLHttpRequest|WebSocket)\b.*not defined/, 'a tool has no network'],
  [/\b(window|document|navigator|localStorage)\b.*not defined/, 'that is of browsers, and is not there in a component'],
  [/\b(WebAssembly|SharedArrayBuffer|Atomics|Worker)\b.*not defined/, 'a component has one thread, and compiles nothing'],
];

/** Refuses the first integer that a number of JavaScript would round. @param {string} json */
function refuseRounded(json) {
  if (!/\d{16}/.test(json)) return;
  // Each integer that would be rounded becomes a BigInt below, so that its place can be looked up.
  const marked = json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    (/^-?\d+(\.0+)?$/.test(token) && !Number.isSafeInteger(Number(token)) ? `{"${MARK}":"${token}"}` : token));
  const values = JSON.parse(marked, (_, value) => (value?.[MARK] ? BigInt(value[MARK].split('.')[0]) : value));
  const look = (/** @type {any} */ value, /** @type {(string | number)[]} */ trail) => {
    if (typeof value === 'bigint') {
      throw new ToolError('invalid-arguments',
        `${at(trail)}${value} is beyond 2^53, where JavaScript rounds integers: take it as a text, and BigInt(…) of that`);
    }
    if (value && typeof value === 'object') Object.entries(value).forEach(([key, item]) => look(item, [...trail, step(value, key)]));
  };
  look(values, []);
}

const MARK = 'an integer that would be rounded';

/**
 * An answer as JSON text; a BigInt is an integer. Refuses what `JSON.stringify` would change or leave out in silence.
 * @param {any} value @param {(string | number)[]} trail The keys that lead to it. @param {object[]} around
 * @returns {string | undefined}
 */
function asJson(value, trail = [], around = []) {
  switch (typeof value) {
    case 'object': return value === null ? 'null' : objectAsJson(value, trail, around);
    case 'string':
      if (!value.isWellFormed()) refuse(trail, `a text with half a character, ${JSON.stringify(value).slice(0, 80)}: write text.toWellFormed()`);
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) refuse(trail, `${value} is no number in JSON: write null`);
      if (!Number.isSafeInteger(value) && /^-?\d+$/.test(String(value))) {
        refuse(trail, `${value} is beyond 2^53, where JavaScript rounds integers: write a BigInt, or a text`);
      }
      return JSON.stringify(value);
    case 'boolean': case 'bigint': return String(value);
    case 'undefined': return trail.length === 0 || typeof trail.at(-1) === 'number' ? 'null' : undefined;
    default: return refuse(trail, `a ${typeof value} is no value in JSON: leave it out`);
  }
}

/** @param {any} value @param {(string | number)[]} trail @param {object[]} around @returns {string | undefined} */
function objectAsJson(value, trail, around) {
  const list = Array.isArray(value);
  if (!list && Object.getPrototypeOf(value) !== Object.prototype) {
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return asJson(value.valueOf(), trail, around);
    const [, instead] = INSTEAD.find(([kind]) => value instanceof kind) ?? [, hidden(value)];
    if (instead) {
      const name = typeof value.next === 'function' ? 'iterator' : value.constructor?.name ?? 'value';
      refuse(trail, `${/^[AEIOi]/.test(name) ? 'an' : 'a'} ${name} is no value in JSON: ${instead}`);
    }
  }
  if (around.includes(value)) refuse(trail, `the ${list ? 'array' : 'object'} holds itself`);
  if (around.length >= DEPTH_MAX) refuse(trail, `more than ${DEPTH_MAX} levels: make it flatter`);
  around.push(value);
  let json;
  if (typeof value.toJSON === 'function') {
    json = asJson(value.toJSON(String(trail.at(-1) ?? '')), trail, around);
  } else {
    const parts = [];
    for (const key of list ? value.keys() : Object.keys(value)) {
      trail.push(key);
      const item = asJson(value[key], trail, around);
      if (item !== undefined) parts.push(list ? item : `${asJson(key, trail)}:${item}`);
      trail.pop();
    }
    json = list ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
  }
  around.pop();
  return json;
}

/** What to write in the place of an object of the engine's own that shows nothing of what it holds. @param {any} value */
function hidden(value) {
  if (Object.keys(value).length > 0 || typeof value.toJSON === 'function') return undefined;
  if (typeof value.next === 'function' && Symbol.iterator in value) return 'write [...…]';
  if (typeof value.next === 'function' && Symbol.asyncIterator in value) return 'collect its items by for await';
  const { constructor } = value;
  const isNative = typeof constructor === 'function' && /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(constructor));
  return isNative ? 'write what it holds' : undefined;
}

/** @param {(string | number)[]} trail @param {string} words @returns {never} */
function refuse(trail, words) {
  throw new ToolError('invalid-answer', `the answer cannot be JSON: ${at(trail)}${words}`);
}

/** The host takes no more levels than 128. */
const DEPTH_MAX = 120;

/** Objects that `JSON.stringify` writes as `{}`, or as an object of digits. @type {[Function, string][]} */
const INSTEAD = [
  [Promise, 'write await before it'],
  [Map, 'write Object.fromEntries(…)'],
  [Set, 'write [...…]'],
  [ArrayBuffer, 'write Array.from(new Uint8Array(…)), or a text'],
  [Object.getPrototypeOf(Uint8Array), 'write Array.from(…), or a text'],
  [DataView, 'write an array, or a text'],
  [WeakMap, 'write an object'],
  [WeakSet, 'write an array'],
  [RegExp, 'write String(…)'],
  [Error, 'throw it, or write .message'],
];

const step = (/** @type {object} */ value, /** @type {string} */ key) => (Array.isArray(value) ? Number(key) : key);

/** A place in JSON. @param {(string | number)[]} trail */
function at(trail) {
  const path = trail.map((key, index) => (typeof key === 'number' ? `[${key}]` : index ? `.${key}` : key)).join('');
  return path && `at ${path.toWellFormed()}: `;
}

/** @param {any[]} words */
function text(words) {
  return words.map((word) => {
    try {
      if (word instanceof Error) return Error.prototype.toString.call(word);
      return typeof word === 'string' ? word : shown(word);
    } catch {
      return UNTOLD;
    }
  }).join(' ');
}

/** Getters, proxies and `toString` are the tool's code, and may throw: no reason to end what is logged. */
const UNTOLD = '(a value that cannot be shown)';

/** A value for people to read, whatever it is. @param {any} value */
function shown(value) {
  try {
    const json = JSON.stringify(value, (_, item) => {
      if (typeof item === 'bigint') return `${item}n`;
      if (item instanceof Map) return Object.fromEntries(item);
      return item instanceof Set ? [...item] : item;
    });
    return json ?? String(value);
  } catch {
    // It holds itself.
    return Object.prototype.toString.call(value);
  }
}
