/**
 * Makes a component of the tool in the working folder: `node vendor/build.mjs NAME.wasm`. Exits with 1, and leaves the file as
 * it was, if that fails.
 */

import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [output] = process.argv.slice(2).map((path) => resolve(path));
const folder = process.cwd();
const vendor = join(folder, 'vendor');

/** @param {string} what @param {string} help */
function fail(what, help) {
  console.error(`error: ${what}\n  help: ${help}`);
  process.exit(1);
}

if (!process.argv[2]) fail('no output file is given', 'node vendor/build.mjs NAME.wasm');
// It hands its paths over in one line of words.
if (/\s/.test(folder)) fail(`componentize-js cannot build in ${folder}`, 'move it to a folder without a space in its path');

let componentize;
try {
  ({ componentize } = await import('@bytecodealliance/componentize-js'));
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  fail('@bytecodealliance/componentize-js is not installed', 'run `npm install` in this folder');
}

let built = folder;
try {
  const sources = await modules(join(vendor, 'component.js'));
  if ([...sources.values()].some(({ changed }) => changed)) built = await copied(sources);
  process.chdir(built);
  const { component } = await componentize({
    sourcePath: join(built, 'vendor', 'component.js'),
    witPath: join(built, 'vendor', 'wit'),
    worldName: 'javascript-tool',
    // Random numbers stay: the engine asks for them where the tool does. The rest it would ask for at every start.
    disableFeatures: ['clocks', 'fetch-event', 'http', 'stdio'],
  });
  await writeFile(output, component);
} catch (error) {
  await forget();
  const hint = error.message.includes('property name in regular expression')
    ? '\nthis engine has no tables of Unicode, so no \\p{…}: list the ranges' : '';
  fail('componentize-js cannot make a component of tool.js', error.message.trimEnd() + hint);
}
await forget();

/**
 * The tool's modules as they can be bundled. `import()` would look for a file when the tool runs, where there is none, and end it
 * without a message: one that names a module of the tool becomes an import of the build, any other a promise that is rejected.
 */
async function modules(/** @type {string} */ first) {
  const own = createRequire(fileURLToPath(import.meta.resolve('@bytecodealliance/componentize-js')));
  const { parseSync } = await import(pathToFileURL(own.resolve('oxc-parser')).href);
  const found = new Map();
  const queue = [first];
  for (const path of queue) {
    if (found.has(path)) continue;
    const source = await readFile(path, 'utf8');
    const { module, errors } = parseSync(path, source);
    const { staticImports = [], staticExports = [], dynamicImports = [] } = errors.length ? {} : module;
    const asked = [...staticImports, ...staticExports.flatMap(({ entries }) => entries)].map((each) => each.moduleRequest?.value);
    let text = source;
    let imports = '';
    for (const { start, end, moduleRequest } of [...dynamicImports].reverse()) {
      const words = source.slice(moduleRequest.start, moduleRequest.end);
      const name = /^(["'`])(\.\.?\/[^"'`$]*)\1$/.exec(words)?.[2];
      const there = name !== undefined && existsSync(resolve(dirname(path), name));
      const local = `$imported${start}`;
      const error = `import(${words}): a component has the modules that were imported when it was built; import it at the top of a file`;
      const promise = there ? `Promise.resolve(${local})` : `Promise.reject(new TypeError(${JSON.stringify(error)}))`;
      if (there) imports += `import * as ${local} from ${JSON.stringify(name)};`;
      asked.push(there ? name : undefined);
      text = text.slice(0, start) + promise + text.slice(end);
    }
    // At the end, so that lines keep their numbers.
    found.set(path, { text: imports ? `${text}\n${imports}\n` : text, changed: dynamicImports.length > 0 });
    const inside = asked.filter((name) => name?.startsWith('.')).map((name) => resolve(dirname(path), name));
    queue.push(...inside.filter((file) => existsSync(file)));
  }
  return found;
}

/** A folder of the system's own with what is built. */
async function copied(/** @type {Map<string, { text: string }>} */ sources) {
  const to = await mkdtemp(join(tmpdir(), 'tollgate-build-'));
  await cp(join(vendor, 'wit'), join(to, 'vendor', 'wit'), { recursive: true, dereference: true });
  for (const [path, { text }] of sources) {
    const place = join(to, relative(folder, path));
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, text);
  }
  return to;
}

async function forget() {
  process.chdir(folder);
  if (built !== folder) await rm(built, { recursive: true, force: true });
}
