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
  try {
    const answer = JSON.stringify(await found.run(values));
    return answer ?? 'null';
  } catch (error) {
    if (error instanceof ToolError) throw error;
    const place = /((?:[\w.-]+\/)*tool\.js:\d+)/.exec(error?.stack ?? '');
    throw new ToolError('exception', text([error]) + (place ? ` (at ${place[1]})` : ''));
  }
}

/** @param {any[]} words */
function text(words) {
  return words.map((word) => {
    if (word instanceof Error) return `${word.name}: ${word.message}`;
    return typeof word === 'string' ? word : JSON.stringify(word) ?? String(word);
  }).join(' ');
}
