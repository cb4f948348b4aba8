/**
 * The module that componentize-js makes a component of: `tool.js` behind the world's export, and the host behind the SDK.
 * Loaded while the component is built, never in unit tests. It must not ask the host for anything by itself.
 */

import { getContext } from 'tollgate:tool/call@0.1.0';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { now } from 'wasi:clocks/wall-clock@0.2.12';

import { connect, describe, invoke, log } from './tollgate-guest.js';
// The user's file: its calls of `tool` make the operations.
import '../tool.js';

// The engine is built without its clocks and its console: they would ask the host when an instance starts. These ask where
// the tool does.
const milliseconds = () => {
  const { seconds, nanoseconds } = now();
  return Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
};
globalThis.Date = new Proxy(Date, {
  construct: (Date, args, target) => Reflect.construct(Date, args.length ? args : [milliseconds()], target),
  apply: (Date) => new Date(milliseconds()).toString(),
  get: (Date, key) => (key === 'now' ? milliseconds : Reflect.get(Date, key)),
});
globalThis.console = { ...console, error: log.error, warn: log.warn, info: log.info, log: log.info, debug: log.debug };
for (const name of ['setTimeout', 'setInterval', 'fetch', 'performance']) {
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
    try {
      return await invoke(operation, args);
    } catch ({ code, message }) {
      throw { code, message };
    }
  },
};
