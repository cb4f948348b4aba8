/**
 * Makes a component of the tool in the working folder: `node vendor/build.mjs NAME.wasm`. Exits with 1, and leaves the file as
 * it was, if that fails.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const [output] = process.argv.slice(2);
const folder = process.cwd();
const vendor = join(folder, 'vendor');

/** @param {string} what @param {string} help */
function fail(what, help) {
  console.error(`error: ${what}\n  help: ${help}`);
  process.exit(1);
}

if (!output) fail('no output file is given', 'node vendor/build.mjs NAME.wasm');
// It hands its paths over in one line of words.
if (/\s/.test(folder)) fail(`componentize-js cannot build in ${folder}`, 'move it to a folder without a space in its path');

let componentize;
try {
  ({ componentize } = await import('@bytecodealliance/componentize-js'));
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  fail('@bytecodealliance/componentize-js is not installed', 'run `npm install` in this folder');
}

try {
  const { component } = await componentize({
    sourcePath: join(vendor, 'component.js'),
    witPath: join(vendor, 'wit'),
    worldName: 'javascript-tool',
    // Random numbers stay: the engine asks for them where the tool does. The rest it would ask for at every start.
    disableFeatures: ['clocks', 'fetch-event', 'http', 'stdio'],
  });
  await writeFile(output, component);
} catch (error) {
  fail('componentize-js cannot make a component of tool.js', error.message);
}
