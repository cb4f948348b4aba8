/**
 * The module that componentize-js makes a component of: `tool.js` behind the world's export, and the host behind the SDK.
 * Loaded while the component is built, never in unit tests. It must not ask the host for anything by itself.
 */

import { getContext } from 'tollgate:tool/call@0.1.0';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { now as instant, subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { now } from 'wasi:clocks/wall-clock@0.2.12';

import { connect, describe, invoke, log, refusal, ToolError } from './tollgate-guest.js';
// The user's file: its calls of `tool` make the operations.
import '../tool.js';

// The engine is built without its clocks and its console: they would ask the host when an instance starts, or end in a trap
// without a message. These ask where the tool does.
const milliseconds = () => {
  const { seconds, nanoseconds } = now();
  return Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
};
globalThis.Date = new Proxy(Date, {
  construct: (Date, args, target) => Reflect.construct(Date, args.length ? args : [milliseconds()], target),
  apply: (Date) => new Date(milliseconds()).toString(),
  get: (Date, key) => (key === 'now' ? milliseconds : Reflect.get(Date, key)),
});

/** `console` as Node has it, on the operator's log. */
const counts = new Map();
const timers = new Map();
let indent = '';
const say = (write) => (...words) => write(...(indent ? [indent.trimEnd(), ...words] : words));
const since = (label) => `${label}: ${milliseconds() - timers.get(label)} ms`;
globalThis.console = {
  error: say(log.error),
  warn: say(log.warn),
  info: say(log.info),
  log: say(log.info),
  debug: say(log.debug),
  dir: (value) => say(log.info)(value),
  dirxml: say(log.info),
  table: (value) => say(log.info)(value),
  trace: (...words) => say(log.debug)('Trace:', ...words, `\n${new Error().stack.trimEnd()}`),
  assert: (holds, ...words) => holds || say(log.error)('Assertion failed', ...words),
  count: (label = 'default') => say(log.info)(`${label}: ${counts.set(label, (counts.get(label) ?? 0) + 1).get(label)}`),
  countReset: (label = 'default') => void counts.delete(label),
  group: (...words) => { if (words.length) say(log.info)(...words); indent += '  '; },
  groupCollapsed: (...words) => globalThis.console.group(...words),
  groupEnd: () => { indent = indent.slice(2); },
  time: (label = 'default') => void timers.set(label, milliseconds()),
  timeLog: (label = 'default') => timers.has(label) && say(log.info)(since(label)),
  timeEnd: (label = 'default') => { globalThis.console.timeLog(label); timers.delete(label); },
  clear: () => {},
};

// Timers wait by the monotonic clock, which only those ask for that set one.
const elapsed = () => Number(instant()) / 1e6;
let waiting = [];
let lastTimer = 0;
const setTimer = (run, delay, repeats) => {
  const timer = { id: (lastTimer += 1), run, due: elapsed() + Math.max(0, Number(delay) || 0), repeats };
  waiting.push(timer);
  return timer.id;
};
globalThis.setTimeout = (run, delay, ...args) => setTimer(() => run(...args), delay);
globalThis.setInterval = (run, delay, ...args) => setTimer(() => run(...args), delay, Math.max(1, Number(delay) || 0));
globalThis.clearTimeout = globalThis.clearInterval = (id) => {
  waiting = waiting.filter((timer) => timer.id !== id);
};

/** Waits for the timer that is due first, and runs it. */
function nextTimer() {
  const timer = waiting.reduce((first, other) => (other.due < first.due ? other : first));
  const left = timer.due - elapsed();
  if (left > 0) subscribeDuration(BigInt(Math.ceil(left * 1e6))).block();
  clearTimeout(timer.id);
  if (timer.repeats) waiting.push({ ...timer, due: timer.due + timer.repeats });
  timer.run();
}

AbortSignal.timeout = (delay) => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new DOMException('The operation timed out.', 'TimeoutError')), delay);
  return controller.signal;
};
globalThis.performance = { now: elapsed };
// What the engine is built without.
for (const name of ['fetch', 'Performance', 'addEventListener', 'removeEventListener', 'dispatchEvent']) {
  delete globalThis[name];
}

connect({
  write: (level, text) => {
    const lines = text.split('\n').map((line) => `<${level}>${line}\n`).join('');
    const bytes = new TextEncoder().encode(lines);
    // wasi:io takes at most 4096 bytes at once.
    for (let start = 0; start < bytes.length; start += 4096) {
      getStderr().blockingWriteAndFlush(bytes.slice(start, start + 4096));
    }
  },
  context: () => {
    const { id, session, deadlineLeftMs } = getContext();
    return { id, session, deadlineLeftMs: Number(deadlineLeftMs) };
  },
});

if (describe().length === 0) throw new TypeError('tool.js has no operation: call tool({ … }, (args) => …)');

/** The world's export. */
export const tool = {
  operations: describe,
  invoke: async (operation, args) => {
    const answer = invoke(operation, args);
    let isSettled = false;
    const settle = () => { isSettled = true; };
    answer.then(settle, settle);
    try {
      // Most answers are there at once, or after a few steps; to look for what is left costs more than they do.
      for (let step = 0; step < 8 && !isSettled; step += 1) await null;
      return await (isSettled ? answer : Promise.race([answer, nothingIsLeft()]));
    } catch (error) {
      const { code, message } = refusal(error);
      throw { code, message };
    }
  },
};

/**
 * Runs timers, and refuses when nothing is left that could settle the answer: the engine would end in a trap without a message. A
 * read of a Blob's stream is the engine's own task: its turn comes when no promise can go on, after the tasks before it.
 */
async function nothingIsLeft() {
  for (let turn = 0; turn < TURNS; turn += 1) {
    await new Blob(['x']).stream().getReader().read();
    if (waiting.length > 0) {
      nextTimer();
      turn = 0;
    }
  }
  const message = 'the promise that the operation returned never settles: all has run, and nothing is left that could settle it';
  throw new ToolError('never-settles', message);
}

/** How many reads of streams one after another may be under way before the answer. */
const TURNS = 1000;
