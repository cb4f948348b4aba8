/**
 * The module that componentize-js makes a component of: `tool.js` behind the world's export, and the host behind the SDK.
 * Loaded while the component is built, never in unit tests. It must not ask the host for anything by itself.
 */

import { getContext } from 'tollgate:tool/call@0.1.0';
import { getStderr } from 'wasi:cli/stderr@0.2.12';

import { built, nextTimer } from './library.js';
import { connect, describe, invoke, refusal, ToolError } from './tollgate-guest.js';
// The user's file: its calls of `tool` make the operations.
import '../tool.js';

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

built();

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
    if (nextTimer()) turn = 0;
  }
  const message = 'the promise that the operation returned never settles: all has run, and nothing is left that could settle it';
  throw new ToolError('never-settles', message);
}

/** How many reads of streams one after another may be under way before the answer. */
const TURNS = 1000;
