/**
 * What of JavaScript's library must be told that it runs in a component. The engine is built without its clocks and its console: they
 * would ask the host when an instance starts, or end in a trap without a message. These ask where the tool does.
 * Loaded before `tool.js`, so that what that takes from the library is this.
 */

import { now as instant, subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { now } from 'wasi:clocks/wall-clock@0.2.12';

import { log } from './tollgate-guest.js';

/** While the component is built there is no host: the time is that of the build, and lines go to whoever builds. */
let isBuilding = true;

/** Called when all modules are loaded. */
export function built() {
  isBuilding = false;
}

// Dates

const EngineDate = Date;
const milliseconds = () => {
  if (isBuilding) return EngineDate.now();
  const { seconds, nanoseconds } = now();
  return Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
};
globalThis.Date = new Proxy(EngineDate, {
  construct: (Date, args, target) => Reflect.construct(Date, args.length ? args : [milliseconds()], target),
  apply: (Date) => new Date(milliseconds()).toString(),
  get: (Date, key) => (key === 'now' ? milliseconds : Reflect.get(Date, key)),
});

// The console, with the methods of Node's, on the operator's log

const engineConsole = globalThis.console;
const counts = new Map();
const started = new Map();
let indent = '';
const say = (level) => (...words) => {
  if (isBuilding) return engineConsole.error(...words);
  // The space behind it parts it from the words.
  return log[level](...(indent ? [indent.slice(1), ...words] : words));
};
const [error, warn, info, debug] = ['error', 'warn', 'info', 'debug'].map(say);
globalThis.console = {
  error,
  warn,
  info,
  debug,
  log: info,
  dir: (value) => info(value),
  dirxml: info,
  table: (value) => info(value),
  trace: (...words) => debug('Trace:', ...words, `\n${new Error().stack.trimEnd()}`),
  assert: (holds, ...words) => { if (!holds) error('Assertion failed', ...words); },
  count: (label = 'default') => {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    info(`${label}: ${counts.get(label)}`);
  },
  countReset: (label = 'default') => { counts.delete(label); },
  group: (...words) => {
    if (words.length > 0) info(...words);
    indent += '  ';
  },
  groupCollapsed: (...words) => globalThis.console.group(...words),
  groupEnd: () => { indent = indent.slice(2); },
  time: (label = 'default') => { started.set(label, milliseconds()); },
  timeLog: (label = 'default', ...words) => {
    if (started.has(label)) info(`${label}: ${milliseconds() - started.get(label)} ms`, ...words);
  },
  timeEnd: (label = 'default') => {
    globalThis.console.timeLog(label);
    started.delete(label);
  },
  clear: () => {},
};

// Timers: they wait by the monotonic clock, which only those ask for that set one

const elapsed = () => {
  if (isBuilding) throw new TypeError('no timer can be set while the component is built: set it in an operation');
  return Number(instant()) / 1e6;
};
let waiting = [];
let lastTimer = 0;

function setTimer(run, delay, repeats) {
  lastTimer += 1;
  waiting.push({ id: lastTimer, run, due: elapsed() + Math.max(0, Number(delay) || 0), repeats });
  return lastTimer;
}

function clearTimer(id) {
  waiting = waiting.filter((timer) => timer.id !== id);
}

globalThis.setTimeout = (run, delay, ...args) => setTimer(() => run(...args), delay);
globalThis.setInterval = (run, delay, ...args) => setTimer(() => run(...args), delay, Math.max(1, Number(delay) || 0));
globalThis.clearTimeout = globalThis.clearInterval = clearTimer;
AbortSignal.timeout = (delay) => {
  const controller = new AbortController();
  globalThis.setTimeout(() => controller.abort(new DOMException('The operation timed out.', 'TimeoutError')), delay);
  return controller.signal;
};
globalThis.performance = { now: elapsed };

/** Waits for the timer that is due first, and runs it. Returns whether there was one. */
export function nextTimer() {
  if (waiting.length === 0) return false;
  const timer = waiting.reduce((first, other) => (other.due < first.due ? other : first));
  const left = timer.due - elapsed();
  if (left > 0) subscribeDuration(BigInt(Math.ceil(left * 1e6))).block();
  clearTimer(timer.id);
  if (timer.repeats) waiting.push({ ...timer, due: timer.due + timer.repeats });
  timer.run();
  return true;
}

// What the engine is built without

for (const name of ['fetch', 'Performance', 'addEventListener', 'removeEventListener', 'dispatchEvent']) {
  delete globalThis[name];
}
