/** Sixty uses of JavaScript's library, each with what it should give; run behind the gate and under plain wasmtime. */

import { tool } from './vendor/tollgate-guest.js';

// Taken when the module is loaded, as packages do.
const { setTimeout: later, Date: OwnDate } = globalThis;
const loaded = OwnDate.now();
console.info('loaded by the build');
const wait = (delay) => new Promise((resolve) => { later(resolve, delay); });
const name = 'nowhere.js';

/** By name: what it should give, and the use. An error is its class and the beginning of its text. */
const uses = {
  // The language
  'classes': [[1, 'Point', true], () => {
    class Point { #x = 1; static { this.made = true; } get x() { return this.#x; } }
    return [new Point().x, Point.name, Point.made];
  }],
  'destructuring': [[1, [2, 3], { c: 4 }], () => { const [a, ...b] = [1, 2, 3]; const { d, ...e } = { d: 0, c: 4 }; return [a, b, e]; }],
  'generators': [[0, 1, 4], () => [...(function* squares() { for (let i = 0; i < 3; i += 1) yield i * i; })()]],
  'iterators': [[4, 6], () => Iterator.from([1, 2, 3]).map((n) => n * 2).drop(1).toArray()],
  'symbols and proxies': [['got a', 'Symbol(s)'], () => [new Proxy({}, { get: (_, key) => `got ${key}` }).a, String(Symbol('s'))]],
  'tagged templates': ['a|b1', () => ((texts, value) => texts.raw.join('|') + value)`a${1}b`],
  'optional chaining': [[null, 5], () => [undefined?.a.b ?? null, null ?? 5]],
  'labels and exceptions': ['inner: cause', () => { try { throw new Error('inner', { cause: 'cause' }); } catch (error) { return `${error.message}: ${error.cause}`; } }],
  'eval': [3, () => (0, eval)('1 + 2')],
  'functions of texts': [5, () => new Function('a', 'return a + 2')(3)],
  'recursion': ['InternalError: too much recursion', () => { const deeper = () => deeper() + 1; return deeper(); }],
  'weak references': [7, () => new WeakRef({ seven: 7 }).deref().seven],

  // Texts
  'cases of letters': [['STRASSE', 'ä'], () => ['straße'.toUpperCase(), 'Ä'.toLowerCase()]],
  'padding and parts': [['007', ['a', 'b'], 'c'], () => ['7'.padStart(3, '0'), 'a-b'.split('-'), 'abc'.at(-1)]],
  'code points': [[128512, '😀', 1], () => ['😀'.codePointAt(0), String.fromCodePoint(128512), [...'😀'].length]],
  'well-formed texts': [[false, '\ufffd'], () => ['\ud800'.isWellFormed(), '\ud800'.toWellFormed()]],
  'named groups': [['2024', '02'], () => { const { y, m } = /(?<y>\d{4})-(?<m>\d\d)/.exec('2024-02').groups; return [y, m]; }],
  'look-behind and all matches': [['1', '2'], () => [...'$1 €2'.matchAll(/(?<=[$€])\d/gu)].map(([digit]) => digit)],
  'replace by function': ['A-b', () => 'a-b'.replace(/^./, (letter) => letter.toUpperCase())],
  'classes of Unicode': ['SyntaxError: invalid property name in regular expression', () => new RegExp('\\p{L}', 'u').test('é')],
  'ranges in place of classes': [[true, false], () => [/^[\u00c0-\u024f]$/.test('é'), /^\w$/u.test('é')]],
  'normalize': ['TypeError: "e".normalize is not a function', () => 'e'.normalize('NFD')],
  'order of letters': [['a', 'b', 'ä'], () => ['ä', 'b', 'a'].sort((a, b) => a.localeCompare(b))],
  'addresses': [['example.com', '/ä', 'é'], () => { const url = new URL('https://example.com/%C3%A4?q=%C3%A9#x'); return [url.hostname, decodeURIComponent(url.pathname), url.searchParams.get('q')]; }],
  'percent signs': ['%C3%A9 é', () => `${encodeURIComponent('é')} ${decodeURI('%C3%A9')}`],
  'base64': [['YQ==', 'a', [1, 255]], () => [btoa('a'), atob('YQ=='), [...Uint8Array.fromBase64('Af8=')]]],
  'codecs': [['é', 'windows-1252', 'shift_jis'], () => [new TextDecoder().decode(new TextEncoder().encode('é')), new TextDecoder('latin1').encoding, new TextDecoder('shift_jis').encoding]],

  // Numbers
  'number formats': [['ff', '1.50', '1e+21', 255], () => [(255).toString(16), (1.5).toFixed(2), String(1e21), Number.parseInt('ff', 16)]],
  'big integers': [['18446744073709551616', '-1'], () => [String(2n ** 64n), String(BigInt.asIntN(8, 255n))]],
  'mathematics': [[3, 2, 5, true], () => [Math.trunc(3.7), Math.cbrt(8), Math.hypot(3, 4), Number.isSafeInteger(2 ** 53 - 1)]],
  'random numbers': [[true, 36, 4], () => [Math.random() < 1, crypto.randomUUID().length, crypto.getRandomValues(new Uint8Array(4)).length]],
  'numbers of a country': ['1234567.891', () => (1234567.891).toLocaleString('de')],
  'Intl': ['ReferenceError: Intl is not defined', () => new Intl.NumberFormat('de').format(1)],

  // Data
  'arrays': [[[1, 2, 3], 3, [1, [2]], [1, 9]], () => [[3, 1, 2].toSorted(), [1, 2, 3].findLast(() => true), [1, [[2]]].flat(), [1, 2].with(1, 9)]],
  'groups': [{ odd: [1, 3], even: [2] }, () => ({ ...Object.groupBy([1, 2, 3], (n) => (n % 2 ? 'odd' : 'even')) })],
  'maps and sets': [[2, [1, 2, 3]], () => [new Map([['a', 2]]).get('a'), [...new Set([1, 2]).union(new Set([3]))]]],
  'typed arrays': [[[1, 0], 513, [0, 1.5]], () => [[...new Uint8Array([257, 256])], new DataView(new Uint8Array([2, 1]).buffer).getInt16(0), [...new Float16Array([0, 1.5])]]],
  'JSON': [[{ a: [1, null] }, '{\n "b": 1\n}'], () => [JSON.parse('{"a": [1, null]}'), JSON.stringify({ b: 1 }, null, 1)]],
  'structured clones': [[1, true], () => { const one = new Map([['a', new Date(0)]]); const two = structuredClone(one); return [two.size, two.get('a') instanceof Date]; }],
  'forms': ['x', () => { const form = new FormData(); form.append('a', 'x'); return form.get('a'); }],
  'headers': ['text/plain', () => new Headers({ 'Content-Type': 'text/plain' }).get('content-type')],
  'answers of fetch': [{ a: 1 }, async () => new Response('{"a": 1}').json()],
  'blobs': [[3, 'bc'], async () => { const blob = new Blob(['abc']); return [blob.size, await blob.slice(1).text()]; }],
  'streams and gzip': ['aaaa', async () => {
    const packed = new Blob(['aaaa']).stream().pipeThrough(new CompressionStream('gzip'));
    return new Response(packed.pipeThrough(new DecompressionStream('gzip'))).text();
  }],
  'long streams': [300, async () => {
    let reads = 0;
    for (let i = 0; i < 300; i += 1) { await new Blob(['x']).stream().getReader().read(); reads += 1; }
    return reads;
  }],
  'hashes': ['2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', async () =>
    new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode('hello'))).toHex()],

  // Time, promises, timers
  'dates': [['2024-02-29T10:00:00.000Z', 1709200800000, 0], () => [new Date(Date.UTC(2024, 1, 29, 10)).toISOString(), Date.parse('2024-02-29T10:00:00Z'), new Date(0).getTimezoneOffset()]],
  'the time of day': [[true, true, 'string'], () => [OwnDate.now() > loaded, new Date().getFullYear() >= 2024, typeof Date()]],
  'promises': [[1, ['fulfilled', 'rejected'], 'any'], async () => [
    await Promise.race([Promise.resolve(1), new Promise(() => {})]),
    (await Promise.allSettled([1, Promise.reject(new Error('no'))])).map(({ status }) => status),
    await Promise.any([Promise.reject(new Error('no')), 'any']),
  ]],
  'asynchronous iteration': [[0, 1], async () => Array.fromAsync((async function* numbers() { yield 0; yield 1; })())],
  'microtasks': [['micro'], async () => { const seen = []; queueMicrotask(() => seen.push('micro')); await null; return seen; }],
  'timers': [['a', 'b', true], async () => {
    const seen = [];
    setTimeout(() => seen.push('b'), 20);
    setTimeout((word) => seen.push(word), 5, 'a');
    const before = performance.now();
    await wait(30);
    return [...seen, performance.now() - before >= 29];
  }],
  'intervals': [3, () => new Promise((resolve) => { let runs = 0; const timer = setInterval(() => { runs += 1; if (runs === 3) { clearInterval(timer); resolve(runs); } }, 1); })],
  'timeouts of signals': ['TimeoutError', () => new Promise((resolve) => { const signal = AbortSignal.timeout(2); signal.addEventListener('abort', () => resolve(signal.reason.name)); })],
  'events': ['got x', () => { const target = new EventTarget(); let seen; target.addEventListener('x', ({ type }) => { seen = `got ${type}`; }); target.dispatchEvent(new Event('x')); return seen; }],
  'aborts': ['AbortError', () => { const controller = new AbortController(); controller.abort(); return controller.signal.reason.name; }],

  // Modules, and what is not there
  'import() of a module of the tool': ['lazy', async () => (await import('./lazy.js')).lazy],
  'import() of another': ['TypeError: import(name): a component has the modules', async () => import(name)],
  'fetch': ['ReferenceError: fetch is not defined', () => fetch('http://localhost')],
  'Node': ['ReferenceError: process is not defined', () => process.exit(3)],
  'buffers of Node': ['ReferenceError: Buffer is not defined', () => Buffer.from('a')],
  'threads': ['ReferenceError: SharedArrayBuffer is not defined', () => new SharedArrayBuffer(1)],
  'WebAssembly': ['ReferenceError: WebAssembly is not defined', () => WebAssembly.Module],
  'browsers': ['ReferenceError: document is not defined', () => document.title],
  'the console': ['quiet', () => { console.clear(); console.countReset(); console.group(); console.groupEnd(); console.assert(true); return 'quiet'; }],
};

export const use = tool({
  name: 'use',
  description: 'Runs every use: what each gave, and what it should have given.',
  input: { type: 'object' },
  output: { type: 'object' },
}, async () => {
  const answers = {};
  for (const [title, [expected, run]] of Object.entries(uses)) {
    let found;
    try {
      found = await run();
    } catch (error) {
      found = `${error.name}: ${error.message}`;
      if (typeof expected === 'string') found = found.slice(0, expected.length);
    }
    answers[title] = [found, expected];
  }
  return answers;
});

const endings = {
  never: () => new Promise(() => {}),
  timer: () => { setTimeout(() => { throw new Error('late'); }, 1); return new Promise(() => {}); },
  Intl: () => new Intl.Collator(),
  normalize: () => 'a'.normalize(),
  property: () => new RegExp('\\p{Lu}', 'u'),
  import: () => import(name),
  rounded: () => ({ total: [{ bytes: 2 ** 60 }] }),
  exact: () => ({ total: [2n ** 60n, 1e300, 0.1, -(2 ** 53 - 1)] }),
  nan: () => [NaN],
  map: () => ({ tags: new Map() }),
  set: () => ({ tags: new Set() }),
  bytes: () => ({ data: new Uint8Array(2) }),
  promise: () => ({ later: Promise.resolve(1) }),
  function: () => ({ call: () => 1 }),
  half: () => ['\ud800'],
  'half-error': () => { throw new Error('\ud800'); },
  iterator: () => ({ tags: new Set([1]).values() }),
  opaque: () => [new Headers({ a: 'b' })],
  untold: () => { throw new Proxy({}, { getPrototypeOf() { throw new Error('no'); } }); },
  circle: () => { const all = {}; all.inner = { all }; return all; },
  deep: () => { let all = []; for (let i = 0; i < 200; i += 1) all = [all]; return all; },
};

export const end = tool({
  name: 'end',
  description: 'Does what is refused with words.',
  input: { type: 'object', properties: { how: { enum: Object.keys(endings) } }, required: ['how'] },
  output: {},
}, ({ how }) => endings[how]());

export const echo = tool({
  name: 'echo',
  description: 'Answers its argument.',
  input: { type: 'object', properties: { value: {} } },
  output: {},
}, ({ value }) => value);

export const methods = tool({
  name: 'console',
  description: 'Calls each method of the console, and names them.',
  input: { type: 'object' },
  output: { type: 'array' },
}, () => {
  console.log('log', 1, { a: [2n] }, new TypeError('why'), undefined);
  console.log('two\nlines');
  console.log('%s', 'as it is');
  console.info('shown', { get inside() { throw new Error('no'); } });
  console.info('info');
  console.warn('warn');
  console.error('error');
  console.debug('debug');
  console.trace('here', 1);
  console.dir({ a: 1 }, { depth: 0 });
  console.dirxml('a', 'b');
  console.table([{ a: 1 }, { a: 2 }]);
  console.assert(true, 'silent');
  console.assert(false, 'so', 1);
  console.count();
  console.count('own');
  console.count();
  console.countReset();
  console.count();
  console.group('outer');
  console.info('in');
  console.groupCollapsed('inner');
  console.warn('deep');
  console.groupEnd();
  console.groupEnd();
  console.groupEnd();
  console.info('out');
  console.time('span');
  console.timeLog('span', 'so far');
  console.timeEnd('span');
  console.timeEnd('span');
  console.clear();
  return Object.keys(console).sort();
});
